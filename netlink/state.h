// Everything that one owner (owners.h) wants in the kernel of its node. The reconciler removes an
// object of the owner that is not in it. A value: pure functions of the daemons make it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "netlink/kernel.h"
#include "netlink/nft_table.h"

namespace cw::netlink {

using NexthopMap = std::map<std::uint32_t, Nexthop>;  // by id
using RouteKey = std::pair<std::uint32_t, Prefix>;    // table, destination

// A device that is up.
struct LinkSpec {
  std::string name;
  std::uint32_t mtu = 0;
  // None: a tunnel driver makes the device.
  std::optional<VxlanSpec> vxlan = {};
  // Written when the device exists, before its addresses: disable_ipv6=0 must come first.
  std::map<std::string, std::string> sysctls = {};
  std::set<Address> addresses = {};
  // Other addresses of the device in these ranges are removed: an earlier key or MAC left them.
  std::vector<Prefix> address_ranges = {};
  // Of a VXLAN device. All its entries are ours.
  std::map<IpAddress, Mac> neighbours = {};
  std::map<Mac, IpAddress> fdb = {};
  friend bool operator==(const LinkSpec&, const LinkSpec&) = default;
};

struct State {
  // Paths under /proc/sys/net. Written first and never set back: other programs may need them.
  std::map<std::string, std::string> sysctls;
  std::optional<NftTable> nft;
  // The device that the table guards; empty: none. Before the table has stood once, the reconciler
  // does not make the device, and gives a tunnel driver's device no address and no route.
  std::string guarded;
  // Prefixes that the table exempts from address translation. After it was written, connection
  // tracking forgets translated flows to or from them.
  std::vector<Prefix> exempt;
  std::vector<LinkSpec> links;  // in order: a device comes before those that run over it
  // Devices of the owner that are not in `links` and stay as they are.
  std::set<std::string> left_links;
  // False: nexthop objects stay as they are, and so do the routes of the table that uses them. Only
  // missing routes are added.
  bool decided = true;
  NexthopMap nexthops;
  std::map<RouteKey, Route> routes;
  std::set<Rule> rules;
  friend bool operator==(const State&, const State&) = default;
};

}  // namespace cw::netlink
