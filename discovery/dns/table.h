// The zone clusterset.local as an immutable table: every name that exists, its records ready to be
// copied into an answer. Built anew from the merged services and swapped whole. The rules are the
// multicluster DNS specification's (docs/protocol/dns.md); names of tests carry its item numbers.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/prefix.h"
#include "discovery/dns/wire.h"
#include "discovery/mcs/merge.h"

namespace cw::discovery::dns {

inline constexpr std::string_view kZone = "clusterset.local";

struct TableConfig {
  std::uint32_t ttl = 5;           // seconds, of all records
  std::uint32_t negative_ttl = 2;  // SOA minimum
  std::vector<IpAddress> servers;  // addresses of ns.dns.clusterset.local; may be empty
};

// One service with the clusters whose endpoints may be given out now.
struct TableService {
  const MergedService* service = nullptr;
  std::set<std::string> stale;  // clusters that are away: left out, unless all are
};

// Records of one name and type, each with its owner as a pointer to the question.
struct RecordSet {
  std::vector<std::vector<std::uint8_t>> records;
};

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
  [[nodiscard]] std::size_t names() const { return names_.size(); }

 private:
  using Node = std::map<Type, RecordSet>;
  void add_service(const TableService& entry, const TableConfig& config);
  void add_headless(const MergedService& service, const std::vector<RecordPtr>& live,
                    const std::string& name, std::uint32_t ttl);
  void add_cluster_set_ip(const MergedService& service, const std::vector<RecordPtr>& live,
                          const std::string& name, std::uint32_t ttl);
  void add_address(const std::string& name, const IpAddress& address, std::uint32_t ttl);
  void add_srv(const std::string& name, std::uint16_t port, const std::string& target,
               std::uint32_t ttl);
  void add(const std::string& name, Type type, std::vector<std::uint8_t> record);
  Node& touch(const std::string& name);  // and its ancestors down from the zone

  bool ready_ = false;
  std::unordered_map<std::string, Node> names_;
  std::vector<std::uint8_t> negative_soa_;  // with a written-out owner
};

}  // namespace cw::discovery::dns
