// The real Kernel: libnl for rtnetlink, libmnl for connection tracking, the nft program for
// nftables. It acts on the network namespace of the thread that opens it. Each kind of object has a
// file in this folder.
#pragma once

#include <memory>

#include "netlink/kernel.h"

namespace cw::netlink {

class RtnlKernel final : public Kernel {
 public:
  [[nodiscard]] static Result<std::unique_ptr<RtnlKernel>> open(Loop& loop);
  ~RtnlKernel() override;

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
  [[nodiscard]] Result<std::vector<BaseChain>> all_base_chains() override;
  [[nodiscard]] Result<unsigned> forget_translated_flows(std::span<const Prefix> remotes) override;
  [[nodiscard]] Handle on_change(std::function<void()> callback) override;

 private:
  struct State;
  explicit RtnlKernel(std::unique_ptr<State> state);
  [[nodiscard]] Result<std::uint32_t> index_of(const std::string& link);
  [[nodiscard]] std::string name_of(std::uint32_t index);
  std::unique_ptr<State> state_;
};

}  // namespace cw::netlink
