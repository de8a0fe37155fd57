// Change notifications: one socket each for rtnetlink and nftables, joined to the groups of the
// objects that we write. The NETCONF groups tell of rp_filter and forwarding. The content is not
// read: an event only says "look again".
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cerrno>

#include "base/log.h"
#include "base/unique_fd.h"
#include "netlink/rtnl/state.h"

namespace cw::netlink {

namespace {

struct Subscription {
  UniqueFd route;
  UniqueFd filter;
  Handle route_events;
  Handle filter_events;
  Handle pending;
  std::function<void()> callback;
};

Result<UniqueFd> joined(int protocol, std::initializer_list<int> groups) {
  UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  if (!fd || ::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    return fail(errno_error(errno, "event socket"));
  }
  for (const int group : groups) {
    if (::setsockopt(fd.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) != 0) {
      return fail(errno_error(errno, "event group"));
    }
  }
  return fd;
}

// Empties the socket, in at most 1000 reads, so that the loop is not blocked for long. ENOBUFS
// (events were lost) counts as an event.
void drain(int fd) {
  char buffer[32768];
  for (int i = 0; i < 1000; ++i) {
    if (::recv(fd, buffer, sizeof buffer, 0) < 0 && errno != ENOBUFS && errno != EINTR) return;
  }
}

}  // namespace

Handle RtnlKernel::on_change(std::function<void()> callback) {
  auto subscription = std::make_shared<Subscription>();
  subscription->callback = std::move(callback);
  auto* raw = subscription.get();
  auto& loop = state_->loop;
  const auto follow = [raw, &loop](Result<UniqueFd> fd, UniqueFd& slot, Handle& events) {
    if (!fd) {
      log_warn("no kernel events: changes by other programs are repaired at the next resync only",
               {{"error", fd.error().text}});
      return;
    }
    slot = std::move(*fd);
    events = loop.watch(slot.get(), FdEvent::kRead, [raw, &loop, number = slot.get()] {
      drain(number);
      if (raw->pending.active()) return;
      raw->pending = loop.after(Duration::zero(), [raw] {
        raw->pending.reset();
        const auto call = raw->callback;  // it may drop the subscription
        call();
      });
    });
  };
  follow(joined(NETLINK_ROUTE,
                {RTNLGRP_LINK, RTNLGRP_NEIGH, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
                 RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE,
                 RTNLGRP_NEXTHOP, RTNLGRP_IPV4_NETCONF, RTNLGRP_IPV6_NETCONF}),
         subscription->route, subscription->route_events);
  follow(joined(NETLINK_NETFILTER, {NFNLGRP_NFTABLES}), subscription->filter,
         subscription->filter_events);
  return Handle([subscription]() mutable { subscription.reset(); });
}

}  // namespace cw::netlink
