#include "gateway/path/state.h"

#include <fmt/format.h>

#include <algorithm>

#include "gateway/path/nft.h"
#include "netlink/owner.h"

namespace cw::gateway {
namespace {

netlink::Route through(const std::string& link, std::uint32_t table, const Prefix& dst) {
  netlink::Route route;
  route.table = table;
  route.dst = dst;
  route.link = link;
  return route;
}

}  // namespace

PathState desired_path(const PathInput& input) {
  PathState state;
  state.link = input.link;
  for (const auto& own : {input.control_address, input.probe_address}) {
    state.addresses.insert({input.link, own, own.bits()});
  }
  for (const auto& control : input.remote_controls) {
    const auto dst = Prefix::host(control);
    state.routes[{kMainTable, dst}] = through(input.link, kMainTable, dst);
    state.routes[{netlink::kTransitTable, dst}] = through(input.link, netlink::kTransitTable, dst);
  }
  for (const auto& dst : input.remotes) {
    state.routes[{netlink::kTransitTable, dst}] = through(input.link, netlink::kTransitTable, dst);
  }
  for (const auto family : {Family::kV4, Family::kV6}) {
    state.rules.insert(
        {family, input.rules.transit(), netlink::kTransitTable, std::string(netlink::kVxlanLink)});
  }
  // Forwarding is turned on by the node's route agent, which limits it to what is ours.
  // Loose: return traffic of a prefix may be routed elsewhere; WireGuard checks sources itself.
  state.sysctls.emplace(fmt::format("ipv4/conf/{}/rp_filter", input.link), "2");
  // The way back to a remote gateway is looked up with the mark that the nft table gives its
  // packets (netlink/owner.h, kTunnelMark). Without it a claim of its address would stop them.
  state.sysctls.emplace("ipv4/conf/all/src_valid_mark", "1");
  // Hosts that switch IPv6 off for every device do it for ours, too: control addresses are IPv6.
  state.sysctls.emplace(fmt::format("ipv6/conf/{}/disable_ipv6", input.link), "0");
  state.nft = nft_table(input);
  return state;
}

}  // namespace cw::gateway
