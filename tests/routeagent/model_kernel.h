// A small model of the kernel for the reconciler's laws: it refuses and forgets as the kernel does
// (a device takes its neighbours, nexthops and routes with it, a nexthop its routes), counts
// changes, and can fail at any of them: once, or from there on as after a crash.
#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "netlink/kernel.h"
#include "netlink/owner.h"

namespace cw::routeagent {

class ModelKernel final : public netlink::Kernel {
 public:
  using RouteId = std::tuple<std::uint32_t, Prefix, std::uint32_t>;  // table, destination, metric

  ModelKernel() {
    links["eth0"] = {2, "eth0", "", 1500, true, {}};
    addresses = {{"eth0", *IpAddress::parse("10.0.0.3"), 24}};
    sysctls = {{"ipv4/ip_forward", "0"}, {"ipv6/conf/all/forwarding", "0"}};
  }

  std::map<std::string, netlink::Link> links;
  std::vector<netlink::Address> addresses;
  netlink::Connected connected;
  std::optional<netlink::VxlanSpec> vxlan;
  std::map<IpAddress, netlink::Mac> neighbours;
  std::map<netlink::Mac, IpAddress> fdb;
  std::map<std::uint32_t, netlink::Nexthop> nexthops;
  std::map<RouteId, netlink::Route> routes;
  std::set<netlink::Rule> rules;
  std::vector<netlink::AnyRule> foreign_rules;
  std::map<std::uint32_t, std::vector<Prefix>> foreign_tables;
  std::map<std::string, std::string> sysctls;
  std::map<std::string, std::string> nft;
  std::vector<std::string> put;  // nexthops and neighbours, in the order of their writing
  bool nft_unreadable = false;   // dump_nft() fails
  std::string refused_nft;       // apply_nft() of this table fails
  int changes = 0;
  int fail_at = -1;      // this change fails, counted from 0
  bool crashed = false;  // with fail_at: and all later ones
  std::function<void()> changed;

  // Everything that is the route agent's to make, as comparable text-free state.
  [[nodiscard]] auto whole() const {
    return std::tie(links, vxlan, neighbours, fdb, nexthops, routes, rules, nft);
  }
  void add_tunnel() { links["cw-wg"] = {7, "cw-wg", "wireguard", 1420, true, {}}; }
  // As the kernel does when a device goes.
  void drop_link(const std::string& name) {
    links.erase(name);
    std::erase_if(addresses, [&](const auto& a) { return a.link == name; });
    if (name == netlink::kVxlanLink) {
      vxlan.reset();
      neighbours.clear();
      fdb.clear();
    }
    std::erase_if(routes, [&](const auto& entry) { return entry.second.link == name; });
    std::vector<std::uint32_t> gone;
    for (const auto& [id, nexthop] : nexthops) {
      if (nexthop.link == name) gone.push_back(id);
    }
    for (const auto id : gone) drop_nexthop(id);
  }
  void drop_nexthop(std::uint32_t id) {
    nexthops.erase(id);
    std::erase_if(routes, [&](const auto& entry) { return entry.second.nexthop_id == id; });
  }

  std::vector<std::vector<Prefix>> forgotten;  // what forget_translated_flows() was asked
  Result<unsigned> forget_translated_flows(std::span<const Prefix> remotes) override {
    forgotten.emplace_back(remotes.begin(), remotes.end());
    return 0U;
  }

  Result<std::vector<netlink::Link>> all_links() override {
    std::vector<netlink::Link> all;
    for (const auto& [name, link] : links) all.push_back(link);
    return all;
  }
  Result<std::vector<netlink::Address>> all_addresses() override { return addresses; }
  Result<netlink::Connected> all_connected() override { return connected; }
  Result<> replace_vxlan(const netlink::VxlanSpec& spec) override {
    if (auto good = change(); !good) return good;
    const auto link = links.find(spec.name);
    if (link != links.end() && link->second.kind != "vxlan") return fail(Errc::kExists, spec.name);
    const bool anew = !vxlan || std::tie(vxlan->vni, vxlan->port, vxlan->local) !=
                                    std::tie(spec.vni, spec.port, spec.local);
    if (anew) drop_link(spec.name);
    vxlan = spec;
    links[spec.name] = {anew ? ++last_index_ : links[spec.name].index,
                        spec.name,
                        "vxlan",
                        spec.mtu,
                        true,
                        spec.mac};
    sysctls.emplace("ipv4/conf/cw-vx/rp_filter", "0");
    sysctls.emplace("ipv6/conf/cw-vx/disable_ipv6", "0");
    sysctls.emplace("ipv6/neigh/cw-vx/unres_qlen_bytes", "212992");
    return {};
  }
  Result<std::optional<netlink::VxlanSpec>> dump_vxlan(const std::string&) override {
    return vxlan;
  }
  Result<> set_link(const std::string& name, std::uint32_t mtu, bool up) override {
    if (auto good = change(); !good) return good;
    links[name].mtu = mtu;
    links[name].up = up;
    return {};
  }
  Result<> remove_link(const std::string& name, const std::string& kind) override {
    if (auto good = change(); !good) return good;
    if (links.count(name) != 0 && links[name].kind == kind) drop_link(name);
    return {};
  }
  Result<> replace_address(const netlink::Address& address) override {
    if (auto good = change(); !good) return good;
    if (links.count(address.link) == 0) return fail(Errc::kNotFound, address.link);
    remove(address);
    addresses.push_back(address);
    return {};
  }
  Result<> remove_address(const netlink::Address& address) override {
    if (auto good = change(); !good) return good;
    remove(address);
    return {};
  }
  Result<std::vector<netlink::Neighbour>> dump_neighbours(const std::string&) override {
    std::vector<netlink::Neighbour> all;
    for (const auto& [address, mac] : neighbours) all.push_back({address, mac});
    return all;
  }
  Result<> replace_neighbour(const std::string& link, const netlink::Neighbour& n) override {
    if (auto good = change_on(link); !good) return good;
    neighbours[n.address] = n.mac;
    put.push_back("neighbour " + n.address.to_string());
    return {};
  }
  Result<> remove_neighbour(const std::string& link, const netlink::Neighbour& n) override {
    if (auto good = change_on(link); !good) return good;
    neighbours.erase(n.address);
    return {};
  }
  Result<std::vector<netlink::FdbEntry>> dump_fdb(const std::string&) override {
    std::vector<netlink::FdbEntry> all;
    for (const auto& [mac, remote] : fdb) all.push_back({mac, remote});
    return all;
  }
  Result<> replace_fdb(const std::string& link, const netlink::FdbEntry& entry) override {
    if (auto good = change_on(link); !good) return good;
    fdb[entry.mac] = entry.remote;
    return {};
  }
  Result<> remove_fdb(const std::string& link, const netlink::FdbEntry& entry) override {
    if (auto good = change_on(link); !good) return good;
    fdb.erase(entry.mac);
    return {};
  }
  Result<std::vector<netlink::Nexthop>> dump_nexthops() override {
    std::vector<netlink::Nexthop> all;
    for (const auto& [id, nexthop] : nexthops) all.push_back(nexthop);
    return all;
  }
  Result<> replace_nexthop(const netlink::Nexthop& nexthop) override {
    if (auto good = change_on(nexthop.link); !good) return good;
    nexthops[nexthop.id] = nexthop;
    if (nexthop.gateway) put.push_back("nexthop " + nexthop.gateway->to_string());
    return {};
  }
  Result<> remove_nexthop(std::uint32_t id) override {
    if (auto good = change(); !good) return good;
    drop_nexthop(id);
    return {};
  }
  Result<std::vector<netlink::Route>> dump_routes(std::uint32_t table) override {
    std::vector<netlink::Route> all;
    for (const auto& [id, route] : routes) {
      if (route.table == table) all.push_back(route);
    }
    return all;
  }
  Result<> replace_route(const netlink::Route& route) override {
    if (auto good = change(); !good) return good;
    if (route.nexthop_id != 0 && nexthops.count(route.nexthop_id) == 0) {
      return fail(Errc::kInvalid, "Nexthop id does not exist");
    }
    if (!route.link.empty() && links.count(route.link) == 0)
      return fail(Errc::kNotFound, route.link);
    routes[{route.table, route.dst, route.metric}] = route;
    return {};
  }
  Result<> remove_route(const netlink::Route& route) override {
    if (auto good = change(); !good) return good;
    routes.erase({route.table, route.dst, route.metric});
    return {};
  }
  Result<std::vector<netlink::Rule>> dump_rules() override {
    return std::vector<netlink::Rule>(rules.begin(), rules.end());
  }
  Result<std::vector<netlink::AnyRule>> all_rules() override {
    auto all = foreign_rules;
    for (const auto& rule : rules) all.push_back(netlink::any_rule(rule));
    return all;
  }
  Result<std::vector<Prefix>> all_destinations(Family family, std::uint32_t table) override {
    auto all = foreign_tables[table];
    std::erase_if(all, [family](const Prefix& dst) { return dst.family() != family; });
    return all;
  }
  Result<> add_rule(const netlink::Rule& rule) override {
    if (auto good = change(); !good) return good;
    rules.insert(rule);
    return {};
  }
  Result<> remove_rule(const netlink::Rule& rule) override {
    if (auto good = change(); !good) return good;
    rules.erase(rule);
    return {};
  }
  Result<std::string> sysctl(const std::string& path) override {
    const auto at = sysctls.find(path);
    if (at == sysctls.end()) return fail(Errc::kNotFound, path);
    return at->second;
  }
  Result<> set_sysctl(const std::string& path, const std::string& value) override {
    if (auto good = change(); !good) return good;
    sysctls[path] = value;
    return {};
  }
  // Its listing differs from what was written, as nft's does.
  Result<> apply_nft(const std::string& text) override {
    if (auto good = change(); !good) return good;
    // The table that the text ends with is what it defines.
    const auto at = text.rfind("table inet ") + 11;
    const auto name = text.substr(at, text.find_first_of(" {\n", at) - at);
    if (name == refused_nft) return fail(Errc::kInternal, "nft: no such file");
    nft[name] = "listing of\n" + text;
    return {};
  }
  Result<std::string> dump_nft(const std::string& table) override {
    if (nft_unreadable) return fail(Errc::kInternal, "nft cannot be run");
    const auto found = nft.find(table);
    return found == nft.end() ? std::string() : found->second;
  }
  Result<> remove_nft(const std::string& table) override {
    if (auto good = change(); !good) return good;
    nft.erase(table);
    return {};
  }
  Handle on_change(std::function<void()> callback) override {
    changed = std::move(callback);
    return Handle([this] { changed = nullptr; });
  }

 private:
  Result<> change() {
    const int number = changes++;
    if (number == fail_at || (crashed && fail_at >= 0 && number > fail_at)) {
      return fail(Errc::kInternal, "netlink: EIO");
    }
    return {};
  }
  Result<> change_on(const std::string& link) {
    if (auto good = change(); !good) return good;
    if (links.count(link) == 0) return fail(Errc::kNotFound, link + " is not there");
    return {};
  }
  void remove(const netlink::Address& address) { std::erase(addresses, address); }

  std::uint32_t last_index_ = 100;
};

}  // namespace cw::routeagent
