#include "gateway/path/state.h"

#include <fmt/format.h>

#include "gateway/path/nft.h"
#include "tunnel/mtu.h"

namespace cw::gateway {
namespace {

const std::string device_name(netlink::kTunnelLink);

void add_route(netlink::State& state, std::uint32_t table, const Prefix& dst) {
  netlink::Route route;
  route.table = table;
  route.dst = dst;
  route.link = device_name;
  state.routes[{table, dst}] = std::move(route);
}

netlink::LinkSpec tunnel_link(const PathInput& input) {
  netlink::LinkSpec link{device_name, tunnel::kTunnelMtu};
  for (const auto& own : {input.control_address, input.probe_address}) {
    link.addresses.insert({device_name, own, own.bits()});
  }
  // The ranges of control and probe addresses. Addresses of an earlier key are removed.
  link.address_ranges = {*Prefix::parse("fd00::/8"), *Prefix::parse(netlink::kThroughRange4)};
  // Loose: return traffic may be routed elsewhere, and WireGuard checks sources itself.
  link.sysctls.emplace(fmt::format("ipv4/conf/{}/rp_filter", device_name), "2");
  // Some hosts switch IPv6 off for every new device. Control addresses are IPv6.
  link.sysctls.emplace(fmt::format("ipv6/conf/{}/disable_ipv6", device_name), "0");
  return link;
}

}  // namespace

netlink::State desired_path(const PathInput& input) {
  netlink::State state;
  // The route back to a remote gateway is looked up with the mark that the nft table gives its
  // packets (netlink/owner.h, kTunnelMark). Otherwise a claim of its address would stop them. The
  // node's route agent turns forwarding on and limits it to Causeway's packets.
  state.sysctls.emplace("ipv4/conf/all/src_valid_mark", "1");
  state.nft = path_table(input);
  state.guarded = device_name;
  state.links = {tunnel_link(input)};
  for (const auto& control : input.remote_controls) {
    add_route(state, netlink::kMainTable, Prefix::host(control));
    add_route(state, netlink::kTransitTable, Prefix::host(control));
  }
  for (const auto& dst : input.remotes) add_route(state, netlink::kTransitTable, dst);
  for (const auto family : {Family::kV4, Family::kV6}) {
    state.rules.insert(
        {family, input.rules.transit(), netlink::kTransitTable, std::string(netlink::kVxlanLink)});
  }
  return state;
}

}  // namespace cw::gateway
