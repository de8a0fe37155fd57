// Converts the feed's wire form (api/proto/feed.proto) to plain values and back. Parsing accepts
// any bytes. It returns a value within the limits of statement.h and of DNS, or an error that names
// the field. Pure; any thread.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/prefix_set.h"
#include "gateway/feed/statement.h"

namespace cw::gateway {

struct WatchQuery {
  GatewayId caller;
  std::string resume_token;
  friend bool operator==(const WatchQuery&, const WatchQuery&) = default;
};
[[nodiscard]] std::string encode_query(const WatchQuery& query);
[[nodiscard]] Result<WatchQuery> parse_query(std::string_view bytes);

// An Event. Serialized fields may be concatenated: encode_statement() + encode_token() is one
// message. So a statement is encoded once for all streams.
[[nodiscard]] std::string encode_statement(const Statement& statement);
[[nodiscard]] std::string encode_token(std::string_view resume_token);
// The same for a sender. kTooLarge, kInvalid: `cluster`'s receivers would refuse the statement.
[[nodiscard]] Result<std::string> encode_checked(const Statement& statement,
                                                 const std::string& cluster);
// `cluster` is the sender's; records become that cluster's. kTooLarge, kInvalid.
[[nodiscard]] Result<FeedEvent> parse_event(std::string_view bytes, const std::string& cluster);

// What parse_event() refuses with `error`.
[[nodiscard]] FeedFault fault_of(std::string_view bytes, Error error);

// One export in our own normal form, which takes a few hundred bytes. The record itself takes some
// thousand. It is made from a record that parse_event() accepted, never from a peer's bytes. So it
// can always be read, and equal exports have equal bytes and fingerprints.
class EncodedExport {
 public:
  explicit EncodedExport(const api::ExportRecord& record);

  [[nodiscard]] api::ExportRecord record(const std::string& cluster) const;
  [[nodiscard]] std::size_t size() const { return bytes_.size(); }
  // The same in each process: RemoteExports carry it (import_step.h).
  [[nodiscard]] std::uint64_t fingerprint() const;
  // True: `cidrs` contains all addresses of its endpoints. Reads only these, and makes no record.
  [[nodiscard]] bool within(const PrefixSet& cidrs) const;
  friend bool operator==(const EncodedExport&, const EncodedExport&) = default;

 private:
  std::string bytes_;
};
using ExportMap = std::map<api::ObjectKey, EncodedExport>;  // all exports of a cluster

}  // namespace cw::gateway
