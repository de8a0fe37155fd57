#include "discovery/dns/own_addresses.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include <algorithm>
#include <set>

namespace cw::discovery::dns {

std::vector<IpAddress> own_addresses(const std::vector<Endpoint>& listen,
                                     const std::vector<IpAddress>& host) {
  std::set<IpAddress> out;
  for (const auto& at : listen) {
    if (!at.address.is_unspecified()) {
      out.insert(at.address);
      continue;
    }
    for (const auto& address : host) {
      const bool reserved = address.is_v4() && address.bytes()[0] >= 240;
      if (address.family() == at.address.family() && !reserved && !address.is_loopback() &&
          !address.is_link_local() && !address.is_multicast()) {
        out.insert(address);
      }
    }
  }
  std::vector<IpAddress> all(out.begin(), out.end());
  all.resize(std::min(all.size(), kMostOwnAddresses));
  return all;
}

std::vector<IpAddress> interface_addresses() {
  std::vector<IpAddress> out;
  ifaddrs* first = nullptr;
  if (::getifaddrs(&first) != 0) return out;  // ns.dns.clusterset.local has no address then
  for (const auto* at = first; at != nullptr; at = at->ifa_next) {
    if (at->ifa_addr == nullptr || (at->ifa_flags & IFF_UP) == 0) continue;
    const bool v4 = at->ifa_addr->sa_family == AF_INET;
    if (!v4 && at->ifa_addr->sa_family != AF_INET6) continue;
    const auto address = Endpoint::from_sockaddr(
        at->ifa_addr, static_cast<socklen_t>(v4 ? sizeof(sockaddr_in) : sizeof(sockaddr_in6)));
    if (address) out.push_back(address->address);
  }
  ::freeifaddrs(first);
  return out;
}

}  // namespace cw::discovery::dns
