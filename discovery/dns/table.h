// The zone clusterset.local as an immutable table: every name that exists, its records ready to be
// copied into an answer. Swapped whole, but made of one part a service in a fixed number of shards,
// which tables share: a TableBuilder makes again only what changed, so that one endpoint among
// 50,000 costs what its service and its shard cost, to make and to free. The rules are the
// multicluster DNS specification's (docs/protocol/dns.md); names of tests carry its item numbers.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/prefix.h"
#include "discovery/dns/wire.h"
#include "discovery/mcs/merge.h"

namespace cw::discovery::dns {

inline constexpr std::string_view kZone = "clusterset.local";
// Whether a lower-case dotted name is the zone's apex or below it.
[[nodiscard]] bool in_zone(std::string_view name);

struct TableConfig {
  std::uint32_t ttl = 5;           // seconds, of all records
  std::uint32_t negative_ttl = 2;  // SOA minimum
  std::vector<IpAddress> servers;  // addresses of ns.dns.clusterset.local; may be empty
  friend bool operator==(const TableConfig&, const TableConfig&) = default;
};

// One service with the clusters whose endpoints may be given out now.
struct TableService {
  std::shared_ptr<const MergedService> service;
  std::set<std::string> stale;   // clusters that are away: left out, unless all are
  std::vector<std::string> ips;  // of the derived Service; empty: nothing balances a virtual IP
  std::string local{};           // this cluster: what the annotation prefer: local means
};

struct Node;

// Records of one name and type, back to back, each with its owner as a pointer to the question.
// Records belong to units: the endpoints of a service, say. The sets of one name number the same
// units, so that a part of its A records and a part of its AAAA records can be of the same
// endpoints.
class RecordSet {
 public:
  // `unit` is not below that of the record before. `target`: the node of the name that the record
  // leads to (SRV, NS), whose addresses may go with it; it must live as long as the set.
  void add(std::span<const std::uint8_t> record, std::uint32_t unit = 0,
           const Node* target = nullptr);
  [[nodiscard]] std::size_t size() const { return records_.size(); }
  // The bytes of records `first` up to, but without, `last`.
  [[nodiscard]] std::span<const std::uint8_t> slice(std::size_t first, std::size_t last) const;
  [[nodiscard]] std::size_t size_of(std::size_t i) const { return records_[i].end - begin_of(i); }
  [[nodiscard]] const Node* target(std::size_t i) const { return records_[i].target; }
  [[nodiscard]] std::uint32_t unit(std::size_t i) const { return records_[i].unit; }
  // One more than the highest unit.
  [[nodiscard]] std::uint32_t units() const { return records_.empty() ? 0 : unit(size() - 1) + 1; }
  // The first record of `unit` or a later one; size(): there is none.
  [[nodiscard]] std::size_t first_of(std::uint32_t unit) const;

 private:
  struct Entry {
    std::uint32_t end;
    std::uint32_t unit;
    const Node* target;
  };
  [[nodiscard]] std::size_t begin_of(std::size_t i) const {
    return i == 0 ? 0 : records_[i - 1].end;
  }
  std::vector<std::uint8_t> bytes_;
  std::vector<Entry> records_;
};

// What a name has.
struct Node : std::map<Type, RecordSet> {};

struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const {
    return std::hash<std::string_view>{}(text);
  }
};
// Nodes by name, relative to some origin; the origin itself is "". Record sets point to nodes of
// their own Names: those may be moved, but not copied.
using Names = std::unordered_map<std::string, Node, TextHash, std::equal_to<>>;

// How an answer is to be made.
struct Delivery {
  std::size_t limit;    // bytes
  unsigned rotate = 0;  // where whole sets start: other for each answer
  // Where a part of a set starts: the same for all answers to one client, so that the parts of A
  // and AAAA are of the same endpoints.
  unsigned part = 0;
  // There is no transport with more room. So the part is what the zone has for this client, and
  // the answer is not truncated.
  bool last_resort = false;
};

class Table {
 public:
  // Answers SERVFAIL to everything: nothing is known yet.
  Table() = default;
  Table(const TableConfig& config, const std::vector<TableService>& services, std::uint32_t serial);

  // Writes the answer to `query` (of our opcode and class) into `out`; returns its size and,
  // through `rcode`, what it says.
  [[nodiscard]] std::size_t answer(const Query& query, const Delivery& delivery,
                                   std::span<std::uint8_t> out, Rcode& rcode) const;
  [[nodiscard]] bool ready() const { return ready_; }
  [[nodiscard]] std::size_t services() const { return services_; }

 private:
  friend class TableBuilder;
  // Parts by "<svc>.<ns>".
  using Shard =
      std::unordered_map<std::string, std::shared_ptr<const Names>, TextHash, std::equal_to<>>;
  static constexpr std::size_t kShards = 256;
  using Shards = std::array<std::shared_ptr<const Shard>, kShards>;
  using Spaces = std::unordered_set<std::string, TextHash, std::equal_to<>>;
  static std::size_t shard_of(std::string_view service) { return TextHash{}(service) % kShards; }
  void start(const TableConfig& config, std::uint32_t serial);
  [[nodiscard]] const Node* find(std::string_view name) const;

  bool ready_ = false;
  // Full names that do not end in .svc.<zone>: the apex and its like.
  std::shared_ptr<const Names> fixed_ = std::make_shared<Names>();
  Shards shards_;
  std::shared_ptr<const Spaces> namespaces_;  // empty non-terminals
  std::size_t services_ = 0;
  std::vector<std::uint8_t> negative_soa_;  // with a written-out owner
};

// Makes tables out of what it is told of single services. One thread.
class TableBuilder {
 public:
  explicit TableBuilder(TableConfig config) : config_(std::move(config)) {}
  void put(const TableService& service);
  void remove(const api::ObjectKey& service);
  // Addresses of ns.dns.clusterset.local. Whether they are other than before.
  bool set_servers(std::vector<IpAddress> servers);
  // `serial` is what the clock says. The table has it, or the next after the last one: serials only
  // grow (RFC 1982), whatever the clock does and however many tables a second has.
  [[nodiscard]] std::shared_ptr<const Table> build(std::uint32_t serial);
  [[nodiscard]] std::uint32_t serial() const { return serial_.value_or(0); }  // of the last table
  void set_serial(std::uint32_t last) { serial_ = last; }

 private:
  using Shard = Table::Shard;
  void set(const api::ObjectKey& service, std::shared_ptr<const Names> names);  // null: none

  TableConfig config_;
  // Shared with the tables built so far; what changed since the last build is a copy of its own.
  std::array<std::shared_ptr<Shard>, Table::kShards> shards_;
  std::array<bool, Table::kShards> own_{};
  std::map<std::string, std::size_t> in_namespace_;  // services that have names
  std::shared_ptr<const Table::Spaces> spaces_ = std::make_shared<Table::Spaces>();
  std::size_t services_ = 0;
  std::optional<std::uint32_t> serial_;
};

// The names of one service, relative to <svc>.<ns>.svc.clusterset.local; empty: it has none.
[[nodiscard]] std::shared_ptr<const Names> names_of(const TableService& entry, std::uint32_t ttl);

}  // namespace cw::discovery::dns
