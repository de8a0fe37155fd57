// Converts the feed's wire form (api/proto/feed.proto) to plain values and back. Parsing accepts
// any bytes. It returns a value within the limits of statement.h and of DNS, or an error that names
// the field. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

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
// `cluster` is the sender's; records become that cluster's. kTooLarge, kInvalid.
[[nodiscard]] Result<FeedEvent> parse_event(std::string_view bytes, const std::string& cluster);

// The subject of a message that parse_event() refuses, in the form of FeedFault.
[[nodiscard]] std::string subject_of(std::string_view bytes);

// One record alone, as the RemoteState keeps it.
[[nodiscard]] std::string encode_record(const api::ExportRecord& record);
[[nodiscard]] Result<api::ExportRecord> parse_record(std::string_view bytes,
                                                     const std::string& cluster);

}  // namespace cw::gateway
