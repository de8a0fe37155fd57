// The zone clusterset.local as an immutable table: each existing name with its records, ready to be
// copied into an answer. A table is replaced as a whole. It consists of one part per service, in a
// fixed number of shards that tables share. A TableBuilder rebuilds only the changed parts. So a
// changed endpoint among 50,000 costs the work for its service and its shard. The rules are those
// of the multicluster DNS specification (docs/protocol/dns.md), whose item numbers tests have in
// their names.
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
// True: the lower-case dotted name is the zone's apex or below it.
[[nodiscard]] bool in_zone(std::string_view name);

struct TableConfig {
  std::uint32_t ttl = 5;           // seconds, for all records
  std::uint32_t negative_ttl = 2;  // seconds: the SOA's minimum
  std::vector<IpAddress> servers;  // addresses of ns.dns.clusterset.local; may be empty
};

// One service, and which clusters' endpoints may be returned now.
struct TableService {
  std::shared_ptr<const MergedService> service;
  std::set<std::string> stale;   // away: their endpoints are left out, unless all are away
  std::vector<std::string> ips;  // of the derived Service; empty: no virtual IP is balanced
  std::string local{};           // this cluster's id, for the annotation prefer: local
};

struct Node;

// The records of one name and type in one buffer. The owner of each is a pointer to the question.
// Records belong to units, such as the endpoints of a service. All sets of a name number the units
// alike. So a part of its A records and a part of its AAAA records can have the same endpoints.
class RecordSet {
 public:
  // `unit` must not be below that of the previous record. `target`: the node of the name that the
  // record points to (SRV, NS). Its addresses may be added to the answer. It must live as long as
  // the set.
  void add(std::span<const std::uint8_t> record, std::uint32_t unit = 0,
           const Node* target = nullptr);
  [[nodiscard]] std::size_t size() const { return records_.size(); }
  // The bytes of the records from `first` up to, not including, `last`.
  [[nodiscard]] std::span<const std::uint8_t> slice(std::size_t first, std::size_t last) const;
  [[nodiscard]] std::size_t size_of(std::size_t i) const { return records_[i].end - begin_of(i); }
  [[nodiscard]] const Node* target(std::size_t i) const { return records_[i].target; }
  [[nodiscard]] std::uint32_t unit(std::size_t i) const { return records_[i].unit; }
  // One more than the highest unit.
  [[nodiscard]] std::uint32_t units() const { return records_.empty() ? 0 : unit(size() - 1) + 1; }
  // The first record of `unit` or of a later one. size(): there is none.
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

// The record sets of one name.
struct Node : std::map<Type, RecordSet> {};

struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const {
    return std::hash<std::string_view>{}(text);
  }
};
// Nodes by name, relative to an origin. The origin itself is "". Record sets point to nodes of the
// same Names. So a Names may be moved but not copied.
using Names = std::unordered_map<std::string, Node, TextHash, std::equal_to<>>;

// How to make an answer.
struct Delivery {
  std::size_t limit;    // bytes
  unsigned rotate = 0;  // where whole sets start; differs for each answer
  // Where a part of a set starts. It is the same for all answers to one client, so that the parts
  // of A and AAAA have the same endpoints.
  unsigned part = 0;
  // No transport has more room. So the part counts as all that the zone has for this client, and
  // the answer has no TC bit.
  bool last_resort = false;
};

class Table {
 public:
  // Answers SERVFAIL to every query, because no records are known yet.
  Table() = default;

  // Writes the answer to `query`, which must have our opcode and class, into `out`. Returns its
  // size, and its code in `rcode`.
  [[nodiscard]] std::size_t answer(const Query& query, const Delivery& delivery,
                                   std::span<std::uint8_t> out, Rcode& rcode) const;
  [[nodiscard]] bool ready() const { return ready_; }

 private:
  friend class TableBuilder;
  // The services' parts by "<svc>.<ns>".
  using Shard =
      std::unordered_map<std::string, std::shared_ptr<const Names>, TextHash, std::equal_to<>>;
  static constexpr std::size_t kShards = 256;
  using Shards = std::array<std::shared_ptr<const Shard>, kShards>;
  using Spaces = std::unordered_set<std::string, TextHash, std::equal_to<>>;
  static std::size_t shard_of(std::string_view service) { return TextHash{}(service) % kShards; }
  void start(const TableConfig& config, std::uint32_t serial);
  [[nodiscard]] const Node* find(std::string_view name) const;

  bool ready_ = false;
  // Full names outside .svc.<zone>, such as the apex.
  std::shared_ptr<const Names> fixed_ = std::make_shared<Names>();
  Shards shards_;
  std::shared_ptr<const Spaces> namespaces_;  // the empty non-terminals
  std::vector<std::uint8_t> negative_soa_;    // with its owner written out
};

// The serial of the table after the one with the serial `last`: the time in seconds, or `last` plus
// one if that is higher. So serials only grow (RFC 1982), whatever the clock does and however many
// tables one second has.
[[nodiscard]] inline std::uint32_t next_serial(std::optional<std::uint32_t> last,
                                               std::uint32_t now) {
  return !last || static_cast<std::int32_t>(now - *last) > 0 ? now : *last + 1;
}

// Builds tables from changes of single services. One thread.
class TableBuilder {
 public:
  explicit TableBuilder(TableConfig config) : config_(std::move(config)) {}
  void put(const TableService& service);
  void remove(const api::ObjectKey& service);
  // Sets the addresses of ns.dns.clusterset.local. True: they changed.
  bool set_servers(std::vector<IpAddress> servers);
  [[nodiscard]] std::shared_ptr<const Table> build(std::uint32_t serial);

 private:
  using Shard = Table::Shard;
  void set(const api::ObjectKey& service, std::shared_ptr<const Names> names);  // null: none

  TableConfig config_;
  // Shared with earlier tables. A shard that changed since the last build is a private copy.
  std::array<std::shared_ptr<Shard>, Table::kShards> shards_;
  std::array<bool, Table::kShards> own_{};
  std::map<std::string, std::size_t> in_namespace_;  // services that have names
  std::shared_ptr<const Table::Spaces> spaces_ = std::make_shared<Table::Spaces>();
};

// The names of one service, relative to <svc>.<ns>.svc.clusterset.local. Empty: it has none.
[[nodiscard]] std::shared_ptr<const Names> names_of(const TableService& entry, std::uint32_t ttl);

}  // namespace cw::discovery::dns
