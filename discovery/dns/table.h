// The zone clusterset.local as an immutable table: every name that exists, its records ready to be
// copied into an answer. Swapped whole, but made of one part a service in a fixed number of shards,
// which tables share: a TableBuilder makes anew only what changed, so that one endpoint among
// 50,000 costs what its service and its shard cost, to make and to free. The rules are the
// multicluster DNS specification's (docs/protocol/dns.md); names of tests carry its item numbers.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
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

// Records of one name and type, back to back, each with its owner as a pointer to the question.
class RecordSet {
 public:
  void add(std::span<const std::uint8_t> record);
  [[nodiscard]] std::size_t size() const { return ends_.size(); }
  // The bytes of records `first` up to, but without, `last`.
  [[nodiscard]] std::span<const std::uint8_t> slice(std::size_t first, std::size_t last) const;
  [[nodiscard]] std::size_t begin_of(std::size_t i) const { return i == 0 ? 0 : ends_[i - 1]; }

 private:
  std::vector<std::uint8_t> bytes_;
  std::vector<std::uint32_t> ends_;
};

struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const {
    return std::hash<std::string_view>{}(text);
  }
};
using Node = std::map<Type, RecordSet>;
// Nodes by name, relative to some origin; the origin itself is "".
using Names = std::unordered_map<std::string, Node, TextHash, std::equal_to<>>;

class Table {
 public:
  // Answers SERVFAIL to everything: nothing is known yet.
  Table() = default;
  Table(const TableConfig& config, const std::vector<TableService>& services, std::uint32_t serial);

  // Writes the answer to `query` (of our opcode and class) into `out`, at most `limit` bytes;
  // returns its size and, through `rcode`, what it says. `rotate` picks where address sets start.
  [[nodiscard]] std::size_t answer(const Query& query, std::size_t limit, unsigned rotate,
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
  Names fixed_;  // full names that do not end in .svc.<zone>: the apex and its like
  Shards shards_;
  std::shared_ptr<const Spaces> namespaces_;  // empty non-terminals
  std::size_t services_ = 0;
  std::vector<std::uint8_t> negative_soa_;  // with a written-out owner
};

// Makes tables out of what it is told of single services. Loop thread.
class TableBuilder {
 public:
  explicit TableBuilder(TableConfig config) : config_(std::move(config)) {}
  void put(const TableService& service);
  void remove(const api::ObjectKey& service);
  [[nodiscard]] std::shared_ptr<const Table> build(std::uint32_t serial);

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
};

// The names of one service, relative to <svc>.<ns>.svc.clusterset.local; empty: it has none.
[[nodiscard]] std::shared_ptr<const Names> names_of(const TableService& entry, std::uint32_t ttl);

}  // namespace cw::discovery::dns
