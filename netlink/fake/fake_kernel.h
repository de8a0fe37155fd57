// A Kernel in memory. It refuses what the kernel refuses. It forgets as the kernel does: a removed
// device takes its addresses, neighbours, nexthops and routes along, a removed nexthop its routes.
// Tests set faults, change its state, and read a text log of writes.
#pragma once

#include <deque>
#include <optional>
#include <tuple>
#include <utility>

#include "netlink/kernel.h"

namespace cw::netlink {

class FakeKernel : public Kernel {
 public:
  [[nodiscard]] Result<std::vector<Link>> all_links() override;
  [[nodiscard]] Result<std::vector<Address>> all_addresses() override;
  [[nodiscard]] Result<> replace_vxlan(const VxlanSpec& spec) override;
  [[nodiscard]] Result<std::optional<VxlanSpec>> dump_vxlan(const std::string& name) override;
  [[nodiscard]] Result<> set_link(const std::string& name, std::uint32_t mtu, bool up) override;
  [[nodiscard]] Result<> remove_link(const std::string& name, const std::string& kind) override;
  [[nodiscard]] Result<> replace_address(const Address& address) override;
  [[nodiscard]] Result<> remove_address(const Address& address) override;
  [[nodiscard]] Result<std::vector<Neighbour>> dump_neighbours(const std::string& link) override;
  [[nodiscard]] Result<> replace_neighbour(const std::string& link, const Neighbour& n) override;
  [[nodiscard]] Result<> remove_neighbour(const std::string& link, const Neighbour& n) override;
  [[nodiscard]] Result<std::vector<FdbEntry>> dump_fdb(const std::string& link) override;
  [[nodiscard]] Result<> replace_fdb(const std::string& link, const FdbEntry& entry) override;
  [[nodiscard]] Result<> remove_fdb(const std::string& link, const FdbEntry& entry) override;
  [[nodiscard]] Result<std::vector<Nexthop>> dump_nexthops() override;
  [[nodiscard]] Result<> replace_nexthop(const Nexthop& nexthop) override;
  [[nodiscard]] Result<> remove_nexthop(std::uint32_t id) override;
  [[nodiscard]] Result<Connected> all_connected() override;
  [[nodiscard]] Result<std::vector<Route>> dump_routes(std::uint32_t table) override;
  [[nodiscard]] Result<> replace_route(const Route& route) override;
  [[nodiscard]] Result<> remove_route(const Route& route) override;
  [[nodiscard]] Result<std::vector<Rule>> dump_rules() override;
  [[nodiscard]] Result<std::vector<AnyRule>> all_rules() override;
  [[nodiscard]] Result<std::vector<Prefix>> all_destinations(Family family,
                                                             std::uint32_t table) override;
  [[nodiscard]] Result<> add_rule(const Rule& rule) override;
  [[nodiscard]] Result<> remove_rule(const Rule& rule) override;
  [[nodiscard]] Result<std::string> sysctl(const std::string& path) override;
  [[nodiscard]] Result<> set_sysctl(const std::string& path, const std::string& value) override;
  [[nodiscard]] Result<> apply_nft(const std::string& text) override;
  [[nodiscard]] Result<std::string> dump_nft(const std::string& table) override;
  [[nodiscard]] Result<> remove_nft(const std::string& table) override;
  [[nodiscard]] Result<std::vector<BaseChain>> all_base_chains() override { return base_chains; }
  [[nodiscard]] Result<unsigned> forget_translated_flows(std::span<const Prefix> remotes) override;
  [[nodiscard]] Handle on_change(std::function<void()> callback) override;

  // The next write fails with this error, once, and has no effect.
  void fail_next(Error error) { fail_after(0, std::move(error)); }
  // The write after `writes` successful ones fails, as if the process crashed there.
  void fail_after(unsigned writes, Error error) { failures_.push_back({writes, std::move(error)}); }
  // One line per write since the last call.
  [[nodiscard]] std::string take_log() { return std::exchange(log_, {}); }

  // Links and addresses of other programs. They call on_change, as the kernel would.
  void add_link(const Link& link);
  void drop_link(const std::string& name);
  void add_address(const Address& address);
  void notify();
  [[nodiscard]] bool has_link(const std::string& name) const { return links.count(name) != 0; }

  // What the kernel holds. Tests may change it, without an event.
  using RouteId = std::tuple<std::uint32_t, Prefix, std::uint32_t>;  // table, destination, metric
  std::map<std::string, Link> links;
  std::optional<VxlanSpec> vxlan;  // at most one device; neighbours and FDB belong to it
  std::vector<Address> addresses;
  std::map<IpAddress, Mac> neighbours;
  std::map<Mac, IpAddress> fdb;
  std::map<std::uint32_t, Nexthop> nexthops;
  std::map<RouteId, Route> routes;
  std::set<Rule> rules;
  std::map<std::string, std::string> sysctls;
  std::map<std::string, std::string> nft;  // listings, which differ from what was written
  [[nodiscard]] auto whole() const {
    return std::tie(links, vxlan, neighbours, fdb, nexthops, routes, rules, nft);
  }

  // Rules, tables, default routers and pods' routes of other programs.
  std::vector<AnyRule> foreign_rules;
  std::map<std::uint32_t, std::vector<Prefix>> foreign_tables;
  Connected foreign_routes;
  std::vector<BaseChain> base_chains;

  // The arguments of forget_translated_flows(), one entry per call.
  std::vector<std::vector<Prefix>> forgotten;
  bool nft_unreadable = false;  // dump_nft() fails
  std::string refused_nft;      // apply_nft() of this table fails
  int changes = 0;              // writes
  int fail_at = -1;             // this write fails, counted from 0
  bool crashed = false;         // all writes after fail_at fail, too

 private:
  struct Failure {
    unsigned after = 0;
    Error error;
  };
  // Every write goes through here: logs it, or fails.
  [[nodiscard]] Result<> write(const std::string& line);
  [[nodiscard]] Result<> write_on(const std::string& link, const std::string& line);
  // Each also removes the objects that need it, as the kernel does.
  void forget_link(const std::string& name);
  void forget_nexthops_of(const std::string& link);
  void forget_nexthop(std::uint32_t id);

  std::deque<Failure> failures_;
  std::string log_;
  std::uint32_t next_index_ = 10;
  std::uint64_t last_watcher_ = 0;
  std::map<std::uint64_t, std::function<void()>> watchers_;
};

}  // namespace cw::netlink
