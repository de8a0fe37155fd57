// A Kernel in memory: the whole semantics, faults on demand, drift by hand, a text log of writes.
#pragma once

#include <deque>
#include <utility>

#include "netlink/kernel.h"

namespace cw::netlink {

class FakeKernel final : public Kernel {
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
  [[nodiscard]] Result<unsigned> forget_translated_flows(std::span<const Prefix> remotes) override;
  [[nodiscard]] Handle on_change(std::function<void()> callback) override;

  // The next write fails with this, once, without an effect.
  void fail_next(Error error) { failures_.push_back({0, std::move(error)}); }
  // The write after `writes` more successful ones fails: "a crash after any step".
  void fail_after(unsigned writes, Error error) { failures_.push_back({writes, std::move(error)}); }
  void forget_failures() { failures_.clear(); }
  // One line a write since the last call.
  [[nodiscard]] std::string take_log() { return std::exchange(log_, {}); }

  // The world: links and addresses that are not ours. Calls on_change, as the kernel would.
  void add_link(const Link& link);
  void drop_link(const std::string& name);
  void add_address(const Address& address);
  void notify();
  // What forget_translated_flows() was asked, one entry a call.
  std::vector<std::vector<Prefix>> forgotten;
  bool nft_unreadable = false;  // dump_nft() fails
  // Of default routes.
  std::vector<IpAddress> routers;
  // Rules and tables of other programs.
  std::vector<AnyRule> foreign_rules;
  std::map<std::uint32_t, std::vector<Prefix>> foreign_tables;
  [[nodiscard]] bool has_link(const std::string& name) const { return links_.count(name) != 0; }

 private:
  struct Failure {
    unsigned after = 0;
    Error error;
  };
  // Every write goes through here: logs it, or fails.
  [[nodiscard]] Result<> write(const std::string& line);
  void forget_link(const std::string& name);

  std::map<std::string, Link> links_;
  std::map<std::string, VxlanSpec> vxlans_;
  std::set<Address> addresses_;
  std::map<std::string, std::map<IpAddress, Mac>> neighbours_;
  std::map<std::string, std::map<Mac, IpAddress>> fdb_;
  std::map<std::uint32_t, Nexthop> nexthops_;
  std::map<std::pair<std::uint32_t, std::pair<Prefix, std::uint32_t>>, Route> routes_;
  std::set<Rule> rules_;
  std::map<std::string, std::string> sysctls_;
  std::map<std::string, std::string> nft_;
  std::deque<Failure> failures_;
  std::string log_;
  std::uint32_t next_index_ = 10;
  std::uint64_t last_watcher_ = 0;
  std::map<std::uint64_t, std::function<void()>> watchers_;
};

}  // namespace cw::netlink
