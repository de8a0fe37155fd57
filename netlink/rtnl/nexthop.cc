// Nexthop objects (Linux 5.3, `ip nexthop`; no RFC). Debian 12's libnl has no type for them, so
// each message is built from its attributes.
#include <fmt/format.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>

#include "netlink/owner.h"
#include "netlink/rtnl/state.h"

namespace cw::netlink {

Result<std::vector<Nexthop>> RtnlKernel::dump_nexthops() {
  std::vector<Nexthop> out;
  auto ok = state_->socket.dump(
      Message(RTM_GETNEXTHOP, 0, nhmsg{}),
      [&](const nlmsghdr* m) {
        const auto* header = static_cast<const nhmsg*>(NLMSG_DATA(m));
        if (header->nh_protocol != kProtocol) return;
        const Attributes attributes(m, sizeof *header);
        Nexthop nexthop;
        nexthop.id = attributes.u32(NHA_ID);
        nexthop.family = header->nh_family == AF_INET6 ? Family::kV6 : Family::kV4;
        nexthop.blackhole = attributes.has(NHA_BLACKHOLE);
        if (attributes.has(NHA_OIF)) nexthop.link = name_of(attributes.u32(NHA_OIF));
        if (const auto gateway = IpAddress::from_bytes(attributes.bytes(NHA_GATEWAY))) {
          nexthop.gateway = *gateway;
        }
        out.push_back(std::move(nexthop));
      },
      "nexthops");
  if (!ok) return fail(ok.error());
  return out;
}

Result<> RtnlKernel::replace_nexthop(const Nexthop& nexthop) {
  nhmsg header{};
  header.nh_protocol = kProtocol;
  header.nh_family = af(nexthop.gateway ? nexthop.gateway->family() : nexthop.family);
  if (nexthop.gateway) header.nh_flags = RTNH_F_ONLINK;
  Message message(RTM_NEWNEXTHOP, NLM_F_CREATE | NLM_F_REPLACE, header);
  message.put_u32(NHA_ID, nexthop.id);
  if (nexthop.blackhole) {
    message.put(NHA_BLACKHOLE, std::span<const std::uint8_t>());
  } else {
    const auto index = index_of(nexthop.link);
    if (!index) return fail(index.error());
    message.put_u32(NHA_OIF, *index);
    if (nexthop.gateway) message.put(NHA_GATEWAY, nexthop.gateway->bytes());
  }
  return state_->socket.request(message, fmt::format("nexthop {}", nexthop.id));
}

Result<> RtnlKernel::remove_nexthop(std::uint32_t id) {
  Message message(RTM_DELNEXTHOP, 0, nhmsg{});
  message.put_u32(NHA_ID, id);
  auto ok = state_->socket.request(message, fmt::format("remove nexthop {}", id));
  if (!ok && ok.error().code == Errc::kNotFound) return {};
  return ok;
}

}  // namespace cw::netlink
