#include "netlink/fake/fake_kernel.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "netlink/owner.h"

namespace cw::netlink {

namespace {

tl::unexpected<Error> no_link(const std::string& name) {
  return fail(Errc::kNotFound, "no link " + name);
}

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

Result<std::vector<Link>> FakeKernel::all_links() {
  std::vector<Link> out;
  for (const auto& [name, link] : links_) out.push_back(link);
  return out;
}

Result<std::vector<Address>> FakeKernel::all_addresses() {
  return std::vector<Address>(addresses_.begin(), addresses_.end());
}

Result<> FakeKernel::replace_vxlan(const VxlanSpec& spec) {
  const auto found = links_.find(spec.name);
  if (found != links_.end() && found->second.kind != "vxlan") {
    return fail(Errc::kExists, "link " + spec.name + " is of another kind");
  }
  if (auto ok =
          write(fmt::format("vxlan {} id {} port {} local {} mtu {} mac {}", spec.name, spec.vni,
                            spec.port, spec.local.to_string(), spec.mtu, to_string(spec.mac)));
      !ok) {
    return ok;
  }
  if (const auto have = vxlans_.find(spec.name);
      have != vxlans_.end() && (have->second.vni != spec.vni || have->second.port != spec.port ||
                                have->second.local != spec.local)) {
    forget_link(spec.name);
  }
  const auto index = links_.count(spec.name) != 0 ? links_[spec.name].index : next_index_++;
  links_[spec.name] = {index, spec.name, "vxlan", spec.mtu, true, spec.mac};
  vxlans_[spec.name] = spec;
  return {};
}

Result<std::optional<VxlanSpec>> FakeKernel::dump_vxlan(const std::string& name) {
  const auto link = links_.find(name);
  if (link != links_.end() && link->second.kind != "vxlan") {
    return fail(Errc::kExists, "link " + name + " is of another kind");
  }
  const auto found = vxlans_.find(name);
  if (found == vxlans_.end()) return std::optional<VxlanSpec>();
  auto spec = found->second;
  spec.mtu = link->second.mtu;
  return std::optional<VxlanSpec>(spec);
}

Result<> FakeKernel::set_link(const std::string& name, std::uint32_t mtu, bool up) {
  if (links_.count(name) == 0) return no_link(name);
  if (auto ok = write(fmt::format("link {} mtu {} {}", name, mtu, up ? "up" : "down")); !ok)
    return ok;
  if (mtu != 0) links_[name].mtu = mtu;
  links_[name].up = up;
  return {};
}

// Routes, nexthops, neighbours and addresses go with their link, as in the kernel.
void FakeKernel::forget_link(const std::string& name) {
  links_.erase(name);
  vxlans_.erase(name);
  neighbours_.erase(name);
  fdb_.erase(name);
  std::erase_if(addresses_, [&](const Address& a) { return a.link == name; });
  std::set<std::uint32_t> dead;
  for (const auto& [id, nexthop] : nexthops_) {
    if (nexthop.link == name) dead.insert(id);
  }
  for (const auto id : dead) nexthops_.erase(id);
  std::erase_if(routes_, [&](const auto& entry) {
    return entry.second.link == name || dead.count(entry.second.nexthop_id) != 0;
  });
}

Result<> FakeKernel::remove_link(const std::string& name, const std::string& kind) {
  const auto found = links_.find(name);
  if (found == links_.end()) return {};
  if (found->second.kind != kind)
    return fail(Errc::kExists, "link " + name + " is of another kind");
  if (auto ok = write("del link " + name); !ok) return ok;
  forget_link(name);
  return {};
}

Result<> FakeKernel::replace_address(const Address& address) {
  if (links_.count(address.link) == 0) return no_link(address.link);
  if (auto ok = write(fmt::format("address {}/{} dev {}", address.address.to_string(),
                                  address.length, address.link));
      !ok) {
    return ok;
  }
  addresses_.insert(address);
  return {};
}

Result<> FakeKernel::remove_address(const Address& address) {
  if (addresses_.count(address) == 0) return {};
  if (auto ok = write("del address " + address.address.to_string()); !ok) return ok;
  addresses_.erase(address);
  return {};
}

Result<std::vector<Neighbour>> FakeKernel::dump_neighbours(const std::string& link) {
  std::vector<Neighbour> out;
  for (const auto& [address, mac] : neighbours_[link]) out.push_back({address, mac});
  return out;
}

Result<> FakeKernel::replace_neighbour(const std::string& link, const Neighbour& n) {
  if (links_.count(link) == 0) return no_link(link);
  if (auto ok = write(
          fmt::format("neigh {} lladdr {} dev {}", n.address.to_string(), to_string(n.mac), link));
      !ok) {
    return ok;
  }
  neighbours_[link][n.address] = n.mac;
  return {};
}

Result<> FakeKernel::remove_neighbour(const std::string& link, const Neighbour& n) {
  if (neighbours_[link].count(n.address) == 0) return {};
  if (auto ok = write(fmt::format("del neigh {} dev {}", n.address.to_string(), link)); !ok)
    return ok;
  neighbours_[link].erase(n.address);
  return {};
}

Result<std::vector<FdbEntry>> FakeKernel::dump_fdb(const std::string& link) {
  std::vector<FdbEntry> out;
  for (const auto& [mac, remote] : fdb_[link]) out.push_back({mac, remote});
  return out;
}

Result<> FakeKernel::replace_fdb(const std::string& link, const FdbEntry& entry) {
  if (links_.count(link) == 0) return no_link(link);
  if (auto ok = write(fmt::format("fdb {} dst {} dev {}", to_string(entry.mac),
                                  entry.remote.to_string(), link));
      !ok) {
    return ok;
  }
  fdb_[link][entry.mac] = entry.remote;
  return {};
}

Result<> FakeKernel::remove_fdb(const std::string& link, const FdbEntry& entry) {
  if (fdb_[link].count(entry.mac) == 0) return {};
  if (auto ok = write(fmt::format("del fdb {} dev {}", to_string(entry.mac), link)); !ok) return ok;
  fdb_[link].erase(entry.mac);
  return {};
}

Result<std::vector<Nexthop>> FakeKernel::dump_nexthops() {
  std::vector<Nexthop> out;
  for (const auto& [id, nexthop] : nexthops_) out.push_back(nexthop);
  return out;
}

Result<> FakeKernel::replace_nexthop(const Nexthop& nexthop) {
  if (!nexthop.blackhole && links_.count(nexthop.link) == 0) return no_link(nexthop.link);
  std::string line = fmt::format("nexthop {}", nexthop.id);
  if (nexthop.blackhole) line += " blackhole";
  if (nexthop.gateway) line += " via " + nexthop.gateway->to_string();
  if (!nexthop.link.empty()) line += " dev " + nexthop.link;
  if (auto ok = write(line); !ok) return ok;
  auto stored = nexthop;
  if (stored.gateway) stored.family = stored.gateway->family();
  nexthops_[nexthop.id] = stored;
  return {};
}

Result<> FakeKernel::remove_nexthop(std::uint32_t id) {
  if (nexthops_.count(id) == 0) return {};
  if (auto ok = write(fmt::format("del nexthop {}", id)); !ok) return ok;
  nexthops_.erase(id);
  std::erase_if(routes_, [id](const auto& entry) { return entry.second.nexthop_id == id; });
  return {};
}

Result<std::vector<Route>> FakeKernel::dump_routes(std::uint32_t table) {
  std::vector<Route> out;
  for (const auto& [key, route] : routes_) {
    if (route.table == table) out.push_back(route);
  }
  return out;
}

Result<> FakeKernel::replace_route(const Route& route) {
  if (!route.link.empty() && links_.count(route.link) == 0) return no_link(route.link);
  if (route.nexthop_id != 0 && nexthops_.count(route.nexthop_id) == 0) {
    return fail(Errc::kInvalid,
                fmt::format("route {}: no nexthop {}", route.dst.to_string(), route.nexthop_id));
  }
  if (route.prefer_src && std::none_of(addresses_.begin(), addresses_.end(), [&](const Address& a) {
        return a.address == *route.prefer_src;
      })) {
    return fail(Errc::kInvalid, "prefer_src is not an address of this host");
  }
  if (auto ok = write("route " + describe(route)); !ok) return ok;
  routes_[{route.table, {route.dst, route.metric}}] = route;
  return {};
}

Result<> FakeKernel::remove_route(const Route& route) {
  const auto found = routes_.find({route.table, {route.dst, route.metric}});
  if (found == routes_.end()) return {};
  if (auto ok = write(fmt::format("del route {} table {}", route.dst.to_string(), route.table));
      !ok)
    return ok;
  routes_.erase({route.table, {route.dst, route.metric}});
  return {};
}

Result<Connected> FakeKernel::all_connected() {
  std::set<Prefix> networks;
  for (const auto& address : addresses_) {
    if (address.link == kTunnelLink || address.link == kVxlanLink) continue;
    if (address.length == address.address.bits()) continue;
    if (const auto network = Prefix::of(address.address, address.length)) {
      networks.insert(*network);
    }
  }
  Connected found{{networks.begin(), networks.end()}, routers};
  std::sort(found.routers.begin(), found.routers.end());
  return found;
}

Result<std::vector<Rule>> FakeKernel::dump_rules() {
  return std::vector<Rule>(rules_.begin(), rules_.end());
}

Result<std::vector<AnyRule>> FakeKernel::all_rules() {
  auto all = foreign_rules;
  for (const auto& rule : rules_) all.push_back(any_rule(rule));
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
  for (const auto& [key, route] : routes_) {
    if (route.table == table && route.type != RouteType::kThrow) all.push_back(route.dst);
  }
  std::erase_if(all, [family](const Prefix& dst) { return dst.family() != family; });
  return all;
}

Result<> FakeKernel::add_rule(const Rule& rule) {
  if (rules_.count(rule) != 0) return {};
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
  rules_.insert(rule);
  return {};
}

Result<> FakeKernel::remove_rule(const Rule& rule) {
  if (rules_.count(rule) == 0) return {};
  if (auto ok = write(
          fmt::format("del rule{} {}", rule.family == Family::kV4 ? "" : " v6", rule.priority));
      !ok) {
    return ok;
  }
  rules_.erase(rule);
  return {};
}

Result<std::string> FakeKernel::sysctl(const std::string& path) {
  const auto found = sysctls_.find(path);
  return found == sysctls_.end() ? "0" : found->second;
}

Result<> FakeKernel::set_sysctl(const std::string& path, const std::string& value) {
  if (sysctls_[path] == value) return {};
  if (auto ok = write(fmt::format("sysctl {} {}", path, value)); !ok) return ok;
  sysctls_[path] = value;
  return {};
}

Result<> FakeKernel::apply_nft(const std::string& text) {
  // The table that the text ends with is what it defines.
  constexpr std::string_view kTable = "table inet ";
  const auto at = text.rfind(kTable);
  if (at == std::string::npos) return fail(Errc::kInvalid, "nft: no table");
  const auto rest = text.substr(at + kTable.size());
  const auto name = rest.substr(0, rest.find_first_of(" {\n"));
  if (auto ok = write("nft table " + name); !ok) return ok;
  nft_[name] = text;
  return {};
}

Result<std::string> FakeKernel::dump_nft(const std::string& table) {
  if (nft_unreadable) return fail(Errc::kInternal, "nft cannot be run");
  const auto found = nft_.find(table);
  return found == nft_.end() ? "" : found->second;
}

Result<> FakeKernel::remove_nft(const std::string& table) {
  if (nft_.count(table) == 0) return {};
  if (auto ok = write("del nft table " + table); !ok) return ok;
  nft_.erase(table);
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
  links_[link.name] = stored;
  notify();
}

void FakeKernel::drop_link(const std::string& name) {
  forget_link(name);
  notify();
}

void FakeKernel::add_address(const Address& address) {
  addresses_.insert(address);
  notify();
}

}  // namespace cw::netlink
