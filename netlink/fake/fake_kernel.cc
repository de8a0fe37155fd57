#include "netlink/fake/fake_kernel.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "netlink/fake/fake_nft.h"
#include "netlink/owner.h"

namespace cw::netlink {

namespace {

std::string describe(const Route& route) {
  std::string out = fmt::format("{} table {}", route.dst.to_string(), route.table);
  switch (route.type) {
    case RouteType::kUnreachable:
      return "unreachable " + out;
    case RouteType::kBlackhole:
      return "blackhole " + out;
    case RouteType::kThrow:
      return "throw " + out;
    case RouteType::kUnicast:
      break;
  }
  if (route.nexthop_id != 0) out += fmt::format(" nhid {}", route.nexthop_id);
  if (route.gateway) out += " via " + route.gateway->to_string();
  if (!route.link.empty()) out += " dev " + route.link;
  if (route.prefer_src) out += " src " + route.prefer_src->to_string();
  if (route.mtu != 0) out += fmt::format(" mtu {}", route.mtu);
  return out;
}

}  // namespace

Result<> FakeKernel::write(const std::string& line) {
  const int number = changes++;
  if (number == fail_at || (crashed && fail_at >= 0 && number > fail_at)) {
    return fail(Errc::kInternal, "netlink: EIO");
  }
  if (!failures_.empty()) {
    if (failures_.front().after == 0) {
      auto error = std::move(failures_.front().error);
      failures_.pop_front();
      return fail(std::move(error));
    }
    --failures_.front().after;
  }
  log_ += line + "\n";
  return {};
}

Result<> FakeKernel::write_on(const std::string& link, const std::string& line) {
  if (!has_link(link)) return fail(Errc::kNotFound, "no link " + link);
  return write(line + " dev " + link);
}

Result<std::vector<Link>> FakeKernel::all_links() {
  std::vector<Link> out;
  for (const auto& [name, link] : links) out.push_back(link);
  return out;
}

Result<std::vector<Address>> FakeKernel::all_addresses() { return addresses; }

Result<> FakeKernel::replace_vxlan(const VxlanSpec& spec) {
  const auto found = links.find(spec.name);
  if (found != links.end() && found->second.kind != "vxlan") {
    return fail(Errc::kExists, "link " + spec.name + " is of another kind");
  }
  if (auto ok =
          write(fmt::format("vxlan {} id {} port {} local {} mtu {} mac {}", spec.name, spec.vni,
                            spec.port, spec.local.to_string(), spec.mtu, to_string(spec.mac)));
      !ok) {
    return ok;
  }
  if (vxlan && std::tie(vxlan->vni, vxlan->port, vxlan->local) !=
                   std::tie(spec.vni, spec.port, spec.local)) {
    forget_link(spec.name);
  }
  const auto index = has_link(spec.name) ? links[spec.name].index : next_index_++;
  links[spec.name] = {index, spec.name, "vxlan", spec.mtu, true, spec.mac};
  vxlan = spec;
  return {};
}

Result<std::optional<VxlanSpec>> FakeKernel::dump_vxlan(const std::string& name) {
  const auto link = links.find(name);
  if (link != links.end() && link->second.kind != "vxlan") {
    return fail(Errc::kExists, "link " + name + " is of another kind");
  }
  return vxlan && vxlan->name == name ? vxlan : std::nullopt;
}

Result<> FakeKernel::set_link(const std::string& name, std::uint32_t mtu, bool up) {
  if (!has_link(name)) return fail(Errc::kNotFound, "no link " + name);
  if (auto ok = write(fmt::format("link {} mtu {} {}", name, mtu, up ? "up" : "down")); !ok)
    return ok;
  if (mtu != 0) links[name].mtu = mtu;
  links[name].up = up;
  if (!up) forget_nexthops_of(name);
  return {};
}

void FakeKernel::forget_link(const std::string& name) {
  links.erase(name);
  if (vxlan && vxlan->name == name) {
    vxlan.reset();
    neighbours.clear();
    fdb.clear();
  }
  std::erase_if(addresses, [&](const Address& a) { return a.link == name; });
  std::erase_if(sysctls, [&](const auto& entry) {
    return entry.first.find("/" + name + "/") != std::string::npos;
  });
  forget_nexthops_of(name);
}

void FakeKernel::forget_nexthops_of(const std::string& link) {
  std::set<std::uint32_t> dead;
  for (const auto& [id, nexthop] : nexthops) {
    if (nexthop.link == link) dead.insert(id);
  }
  for (const auto id : dead) forget_nexthop(id);
  std::erase_if(routes, [&](const auto& entry) { return entry.second.link == link; });
}

void FakeKernel::forget_nexthop(std::uint32_t id) {
  nexthops.erase(id);
  std::erase_if(routes, [id](const auto& entry) { return entry.second.nexthop_id == id; });
}

Result<> FakeKernel::remove_link(const std::string& name, const std::string& kind) {
  const auto found = links.find(name);
  if (found == links.end()) return {};
  if (found->second.kind != kind)
    return fail(Errc::kExists, "link " + name + " is of another kind");
  if (auto ok = write("del link " + name); !ok) return ok;
  forget_link(name);
  return {};
}

Result<> FakeKernel::replace_address(const Address& address) {
  const auto text = fmt::format("address {}/{}", address.address.to_string(), address.length);
  if (auto ok = write_on(address.link, text); !ok) return ok;
  std::erase(addresses, address);
  addresses.push_back(address);
  return {};
}

Result<> FakeKernel::remove_address(const Address& address) {
  if (std::find(addresses.begin(), addresses.end(), address) == addresses.end()) return {};
  if (auto ok = write("del address " + address.address.to_string()); !ok) return ok;
  std::erase(addresses, address);
  return {};
}

Result<std::vector<Neighbour>> FakeKernel::dump_neighbours(const std::string& link) {
  std::vector<Neighbour> out;
  if (!vxlan || vxlan->name != link) return out;
  for (const auto& [address, mac] : neighbours) out.push_back({address, mac});
  return out;
}

Result<> FakeKernel::replace_neighbour(const std::string& link, const Neighbour& n) {
  const auto text = fmt::format("neigh {} lladdr {}", n.address.to_string(), to_string(n.mac));
  if (auto ok = write_on(link, text); !ok) return ok;
  neighbours[n.address] = n.mac;
  return {};
}

Result<> FakeKernel::remove_neighbour(const std::string& link, const Neighbour& n) {
  if (neighbours.count(n.address) == 0) return {};
  if (auto ok = write_on(link, "del neigh " + n.address.to_string()); !ok) return ok;
  neighbours.erase(n.address);
  return {};
}

Result<std::vector<FdbEntry>> FakeKernel::dump_fdb(const std::string& link) {
  std::vector<FdbEntry> out;
  if (!vxlan || vxlan->name != link) return out;
  for (const auto& [mac, remote] : fdb) out.push_back({mac, remote});
  return out;
}

Result<> FakeKernel::replace_fdb(const std::string& link, const FdbEntry& entry) {
  const auto text = fmt::format("fdb {} dst {}", to_string(entry.mac), entry.remote.to_string());
  if (auto ok = write_on(link, text); !ok) return ok;
  fdb[entry.mac] = entry.remote;
  return {};
}

Result<> FakeKernel::remove_fdb(const std::string& link, const FdbEntry& entry) {
  if (fdb.count(entry.mac) == 0) return {};
  if (auto ok = write_on(link, "del fdb " + to_string(entry.mac)); !ok) return ok;
  fdb.erase(entry.mac);
  return {};
}

Result<std::vector<Nexthop>> FakeKernel::dump_nexthops() {
  std::vector<Nexthop> out;
  for (const auto& [id, nexthop] : nexthops) out.push_back(nexthop);
  return out;
}

Result<> FakeKernel::replace_nexthop(const Nexthop& nexthop) {
  std::string line = fmt::format("nexthop {}", nexthop.id);
  if (nexthop.blackhole) line += " blackhole";
  if (nexthop.gateway) line += " via " + nexthop.gateway->to_string();
  if (auto ok = nexthop.blackhole ? write(line) : write_on(nexthop.link, line); !ok) return ok;
  auto stored = nexthop;
  if (stored.gateway) stored.family = stored.gateway->family();
  nexthops[nexthop.id] = stored;
  return {};
}

Result<> FakeKernel::remove_nexthop(std::uint32_t id) {
  if (nexthops.count(id) == 0) return {};
  if (auto ok = write(fmt::format("del nexthop {}", id)); !ok) return ok;
  forget_nexthop(id);
  return {};
}

Result<std::vector<Route>> FakeKernel::dump_routes(std::uint32_t table) {
  std::vector<Route> out;
  for (const auto& [key, route] : routes) {
    if (route.table == table) out.push_back(route);
  }
  return out;
}

Result<> FakeKernel::replace_route(const Route& route) {
  if (!route.link.empty() && !has_link(route.link)) {
    return fail(Errc::kNotFound, "no link " + route.link);
  }
  if (route.nexthop_id != 0 && nexthops.count(route.nexthop_id) == 0) {
    return fail(Errc::kInvalid,
                fmt::format("route {}: no nexthop {}", route.dst.to_string(), route.nexthop_id));
  }
  if (route.prefer_src && std::none_of(addresses.begin(), addresses.end(), [&](const Address& a) {
        return a.address == *route.prefer_src;
      })) {
    return fail(Errc::kInvalid, "prefer_src is not an address of this host");
  }
  if (auto ok = write("route " + describe(route)); !ok) return ok;
  routes[{route.table, route.dst, route.metric}] = route;
  return {};
}

Result<> FakeKernel::remove_route(const Route& route) {
  const auto found = routes.find({route.table, route.dst, route.metric});
  if (found == routes.end()) return {};
  if (auto ok = write(fmt::format("del route {} table {}", route.dst.to_string(), route.table));
      !ok)
    return ok;
  routes.erase(found);
  return {};
}

Result<Connected> FakeKernel::all_connected() {
  std::set<Prefix> networks(foreign_routes.networks.begin(), foreign_routes.networks.end());
  for (const auto& address : addresses) {
    if (address.link == kTunnelLink || address.link == kVxlanLink) continue;
    if (address.length == address.address.bits()) continue;
    if (const auto network = Prefix::of(address.address, address.length)) {
      networks.insert(*network);
    }
  }
  auto found = foreign_routes;
  found.networks = {networks.begin(), networks.end()};
  std::sort(found.routers.begin(), found.routers.end());
  return found;
}

Result<std::vector<Rule>> FakeKernel::dump_rules() {
  return std::vector<Rule>(rules.begin(), rules.end());
}

Result<std::vector<AnyRule>> FakeKernel::all_rules() {
  auto all = foreign_rules;
  for (const auto& rule : rules) all.push_back(any_rule(rule));
  std::stable_sort(all.begin(), all.end(), [](const AnyRule& a, const AnyRule& b) {
    return std::tie(a.family, a.priority) < std::tie(b.family, b.priority);
  });
  return all;
}

Result<std::vector<Prefix>> FakeKernel::all_destinations(Family family, std::uint32_t table) {
  std::vector<Prefix> all;
  if (const auto foreign = foreign_tables.find(table); foreign != foreign_tables.end()) {
    all = foreign->second;
  }
  for (const auto& [key, route] : routes) {
    if (route.table == table && route.type != RouteType::kThrow) all.push_back(route.dst);
  }
  std::erase_if(all, [family](const Prefix& dst) { return dst.family() != family; });
  return all;
}

Result<> FakeKernel::add_rule(const Rule& rule) {
  if (rules.count(rule) != 0) return {};
  const auto action = rule.nop           ? "nop"
                      : rule.go_to != 0  ? fmt::format("goto {}", rule.go_to)
                      : rule.unreachable ? "unreachable"
                                         : fmt::format("table {}", rule.table);
  if (auto ok =
          write(fmt::format("rule{} {} {}{}{}{}", rule.family == Family::kV4 ? "" : " v6",
                            rule.priority, rule.iif.empty() ? "" : "iif " + rule.iif + " ",
                            rule.to ? "to " + rule.to->to_string() + " " : "",
                            rule.mark == 0 ? "" : fmt::format("mark {:#x} ", rule.mark), action));
      !ok) {
    return ok;
  }
  rules.insert(rule);
  return {};
}

Result<> FakeKernel::remove_rule(const Rule& rule) {
  if (rules.count(rule) == 0) return {};
  if (auto ok = write(
          fmt::format("del rule{} {}", rule.family == Family::kV4 ? "" : " v6", rule.priority));
      !ok) {
    return ok;
  }
  rules.erase(rule);
  return {};
}

// A device's settings exist as long as the device.
Result<std::string> FakeKernel::sysctl(const std::string& path) {
  if (const auto found = sysctls.find(path); found != sysctls.end()) return found->second;
  for (const auto* of_device : {"ipv4/conf/", "ipv6/conf/", "ipv4/neigh/", "ipv6/neigh/"}) {
    if (path.rfind(of_device, 0) != 0) continue;
    const auto rest = path.substr(std::string_view(of_device).size());
    const auto device = rest.substr(0, rest.find('/'));
    if (device == "all" || has_link(device)) return "0";
  }
  if (path == "ipv4/ip_forward") return "0";
  return fail(Errc::kNotFound, path);
}

Result<> FakeKernel::set_sysctl(const std::string& path, const std::string& value) {
  const auto now = sysctl(path);
  if (!now) return fail(now.error());
  if (*now == value) return {};
  if (auto ok = write(fmt::format("sysctl {} {}", path, value)); !ok) return ok;
  sysctls[path] = value;
  return {};
}

Result<> FakeKernel::apply_nft(const std::string& text) {
  // The last table in the text is the one that it defines (nft_text()) or changes (nft_change()).
  constexpr std::string_view kTable = "table inet ";
  const auto at = text.rfind(kTable);
  if (at == std::string::npos) return fail(Errc::kInvalid, "nft: no table");
  const auto rest = text.substr(at + kTable.size());
  const auto name = rest.substr(0, rest.find_first_of(" {\n"));
  if (auto ok = write("nft table " + name); !ok) return ok;
  if (name == refused_nft) return fail(Errc::kInternal, "nft: no such file");
  if (text.find("delete table ") != std::string::npos) {
    nft[name] = "listing of\n" + text;
  } else if (!change_elements(nft[name], text)) {
    return fail(Errc::kNotFound, "nft: no such element");
  }
  return {};
}

Result<std::string> FakeKernel::dump_nft(const std::string& table) {
  if (nft_unreadable) return fail(Errc::kInternal, "nft cannot be run");
  const auto found = nft.find(table);
  return found == nft.end() ? "" : found->second;
}

Result<> FakeKernel::remove_nft(const std::string& table) {
  if (nft.count(table) == 0) return {};
  if (auto ok = write("del nft table " + table); !ok) return ok;
  nft.erase(table);
  return {};
}

Result<unsigned> FakeKernel::forget_translated_flows(std::span<const Prefix> remotes) {
  forgotten.emplace_back(remotes.begin(), remotes.end());
  return 0U;
}

Handle FakeKernel::on_change(std::function<void()> callback) {
  const auto id = ++last_watcher_;
  watchers_.emplace(id, std::move(callback));
  return Handle([this, id] { watchers_.erase(id); });
}

void FakeKernel::notify() {
  const auto copy = watchers_;
  for (const auto& [id, callback] : copy) callback();
}

void FakeKernel::add_link(const Link& link) {
  auto stored = link;
  if (stored.index == 0) stored.index = next_index_++;
  links[link.name] = stored;
  notify();
}

void FakeKernel::drop_link(const std::string& name) {
  forget_link(name);
  notify();
}

void FakeKernel::add_address(const Address& address) {
  addresses.push_back(address);
  notify();
}

}  // namespace cw::netlink
