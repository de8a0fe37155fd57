// Connected networks, default routers and pods' routes: not ours, but they must stay reachable.
#include <linux/rtnetlink.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "netlink/owner.h"
#include "netlink/rtnl/state.h"

namespace cw::netlink {

namespace {

using Routers = std::set<IpAddress>;

void take_router(const Attributes& attributes, Routers& routers) {
  if (const auto router = IpAddress::from_bytes(attributes.bytes(RTA_GATEWAY))) {
    routers.insert(*router);
  }
  const auto via = attributes.bytes(RTA_VIA);  // a family in two bytes, then the address
  if (via.size() > 2) {
    if (const auto router = IpAddress::from_bytes(via.subspan(2))) routers.insert(*router);
  }
}

// A default route with several routers lists them as rtnexthop structures, each with attributes.
void take_routers(std::span<const std::uint8_t> nexthops, Routers& routers) {
  while (nexthops.size() >= sizeof(rtnexthop)) {
    rtnexthop header{};
    std::memcpy(&header, nexthops.data(), sizeof header);
    const std::size_t size = header.rtnh_len;
    if (size < sizeof header || size > nexthops.size()) return;
    take_router(Attributes(nexthops.subspan(sizeof header, size - sizeof header)), routers);
    nexthops = nexthops.subspan(std::min(nexthops.size(), (size + 3) & ~std::size_t{3}));
  }
}

}  // namespace

Result<Connected> RtnlKernel::all_connected() {
  std::set<Prefix> networks;
  Routers routers;
  const auto links = all_links();
  if (!links) return fail(links.error());
  std::map<std::uint32_t, std::string> veths;
  for (const auto& link : *links) {
    if (link.kind == "veth") veths.emplace(link.index, link.name);
  }
  std::vector<std::pair<IpAddress, std::string>> pods;
  for (const auto family : {AF_INET, AF_INET6}) {
    rtmsg request{};
    request.rtm_family = static_cast<std::uint8_t>(family);
    Message message(RTM_GETROUTE, 0, request);
    message.put_u32(RTA_TABLE, RT_TABLE_MAIN);
    auto ok = state_->socket.dump(
        message,
        [&](const nlmsghdr* m) {
          const auto* header = static_cast<const rtmsg*>(NLMSG_DATA(m));
          const Attributes attributes(m, sizeof *header);
          if (attributes.u32(RTA_TABLE) != RT_TABLE_MAIN || header->rtm_type != RTN_UNICAST) return;
          if (header->rtm_dst_len == 0) {
            take_router(attributes, routers);
            take_routers(attributes.bytes(RTA_MULTIPATH), routers);
            return;
          }
          if (attributes.has(RTA_GATEWAY)) return;
          const auto address = IpAddress::from_bytes(attributes.bytes(RTA_DST));
          if (!address) return;
          const auto veth = veths.find(attributes.u32(RTA_OIF));
          if (veth != veths.end() && header->rtm_dst_len == address->bits() &&
              !address->is_link_local()) {
            pods.emplace_back(*address, veth->second);
          }
          if (header->rtm_protocol != RTPROT_KERNEL) return;
          const auto link = name_of(attributes.u32(RTA_OIF));
          if (link == kTunnelLink || link == kVxlanLink) return;
          if (const auto network = Prefix::of(*address, header->rtm_dst_len)) {
            networks.insert(*network);
          }
        },
        "routes");
    if (!ok) return fail(ok.error());
  }
  std::sort(pods.begin(), pods.end());
  return Connected{
      {networks.begin(), networks.end()}, {routers.begin(), routers.end()}, std::move(pods)};
}

}  // namespace cw::netlink
