// Routes.
#include <linux/rtnetlink.h>

#include <cstring>

#include "netlink/owner.h"
#include "netlink/rtnl/state.h"

namespace cw::netlink {

namespace {

std::uint8_t kernel_type(RouteType type) {
  switch (type) {
    case RouteType::kUnicast:
      return RTN_UNICAST;
    case RouteType::kUnreachable:
      return RTN_UNREACHABLE;
    case RouteType::kBlackhole:
      return RTN_BLACKHOLE;
    case RouteType::kThrow:
      break;
  }
  return RTN_THROW;
}

std::optional<RouteType> our_type(std::uint8_t type) {
  switch (type) {
    case RTN_UNICAST:
      return RouteType::kUnicast;
    case RTN_UNREACHABLE:
      return RouteType::kUnreachable;
    case RTN_BLACKHOLE:
      return RouteType::kBlackhole;
    case RTN_THROW:
      return RouteType::kThrow;
    default:
      return std::nullopt;
  }
}

// The kernel gives IPv6 routes without a metric this one.
constexpr std::uint32_t kDefaultV6Metric = 1024;

rtmsg header_of(const Route& route) {
  rtmsg header{};
  header.rtm_family = af(route.dst.family());
  header.rtm_dst_len = static_cast<std::uint8_t>(route.dst.length());
  header.rtm_protocol = kProtocol;
  header.rtm_table = RT_TABLE_UNSPEC;  // RTA_TABLE has it
  header.rtm_type = kernel_type(route.type);
  header.rtm_scope = RT_SCOPE_UNIVERSE;
  return header;
}

// IPv4: a gateway of the other family goes into RTA_VIA (RFC 5549).
void put_gateway(Message& message, const Route& route) {
  if (!route.gateway) return;
  if (route.gateway->family() == route.dst.family()) {
    message.put(RTA_GATEWAY, route.gateway->bytes());
    return;
  }
  const auto bytes = route.gateway->bytes();
  std::vector<std::uint8_t> via(2 + bytes.size());
  const std::uint16_t family = af(route.gateway->family());
  std::memcpy(via.data(), &family, 2);
  std::memcpy(via.data() + 2, bytes.data(), bytes.size());
  message.put(RTA_VIA, via);
}

}  // namespace

Result<std::vector<Route>> RtnlKernel::dump_routes(std::uint32_t table) {
  std::vector<Route> out;
  for (const auto family : {AF_INET, AF_INET6}) {
    rtmsg request{};
    request.rtm_family = static_cast<std::uint8_t>(family);
    Message message(RTM_GETROUTE, 0, request);
    message.put_u32(RTA_TABLE, table);
    auto ok = state_->socket.dump(
        message,
        [&](const nlmsghdr* m) {
          const auto* header = static_cast<const rtmsg*>(NLMSG_DATA(m));
          const Attributes attributes(m, sizeof *header);
          const auto type = our_type(header->rtm_type);
          if (header->rtm_protocol != kProtocol || attributes.u32(RTA_TABLE) != table || !type)
            return;
          Route route;
          route.table = table;
          route.type = *type;
          const bool v4 = header->rtm_family == AF_INET;
          const auto raw = attributes.bytes(RTA_DST);
          const auto base = raw.empty() ? (v4 ? IpAddress::v4({}) : IpAddress::v6({}))
                                        : IpAddress::from_bytes(raw).value_or(IpAddress());
          const auto dst = Prefix::of(base, header->rtm_dst_len);
          if (!dst) return;
          route.dst = *dst;
          route.metric = attributes.u32(RTA_PRIORITY);
          if (!v4 && route.metric == kDefaultV6Metric) route.metric = 0;
          route.nexthop_id = attributes.u32(RTA_NH_ID);
          // With a nexthop object the kernel repeats the object's link and gateway in the route.
          if (route.nexthop_id == 0 && *type == RouteType::kUnicast) {
            route.link = name_of(attributes.u32(RTA_OIF));
            if (const auto gateway = IpAddress::from_bytes(attributes.bytes(RTA_GATEWAY))) {
              route.gateway = *gateway;
            }
            const auto via = attributes.bytes(RTA_VIA);
            if (via.size() > 2) {
              if (const auto gateway = IpAddress::from_bytes(via.subspan(2)))
                route.gateway = *gateway;
            }
          }
          if (const auto src = IpAddress::from_bytes(attributes.bytes(RTA_PREFSRC)))
            route.prefer_src = *src;
          route.mtu = Attributes(attributes.bytes(RTA_METRICS)).u32(RTAX_MTU);
          out.push_back(std::move(route));
        },
        "routes");
    if (!ok) return fail(ok.error());
  }
  return out;
}

Result<> RtnlKernel::replace_route(const Route& route) {
  auto header = header_of(route);
  if (route.type == RouteType::kUnicast && route.nexthop_id == 0 && !route.gateway) {
    header.rtm_scope = route.dst.is_v4() ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  }
  if (route.gateway) header.rtm_flags = RTNH_F_ONLINK;
  Message message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, header);
  message.put(RTA_DST, route.dst.address().bytes());
  message.put_u32(RTA_TABLE, route.table);
  if (route.metric != 0) message.put_u32(RTA_PRIORITY, route.metric);
  if (route.nexthop_id != 0) message.put_u32(RTA_NH_ID, route.nexthop_id);
  if (!route.link.empty()) {
    const auto index = index_of(route.link);
    if (!index) return fail(index.error());
    message.put_u32(RTA_OIF, *index);
    put_gateway(message, route);
  }
  if (route.prefer_src) message.put(RTA_PREFSRC, route.prefer_src->bytes());
  if (route.mtu != 0) {
    message.nest(RTA_METRICS, [&](Message& m) { m.put_u32(RTAX_MTU, route.mtu); });
  }
  return state_->socket.request(message, "route " + route.dst.to_string());
}

Result<> RtnlKernel::remove_route(const Route& route) {
  auto header = header_of(route);
  header.rtm_scope = RT_SCOPE_NOWHERE;  // any scope
  Message message(RTM_DELROUTE, 0, header);
  message.put(RTA_DST, route.dst.address().bytes());
  message.put_u32(RTA_TABLE, route.table);
  if (route.metric != 0) message.put_u32(RTA_PRIORITY, route.metric);
  auto ok = state_->socket.request(message, "remove route " + route.dst.to_string());
  if (!ok && ok.error().code == Errc::kNotFound) return {};
  return ok;
}

}  // namespace cw::netlink
