// Holding packets during a handover: the nexthop object points at a neighbour on the VXLAN device
// whose address no node has. The kernel queues what it cannot resolve, in order, up to
// unres_qlen_bytes, for the few seconds that resolution takes to fail. Giving the neighbour a MAC
// address sends it all on. Pure.
#pragma once

#include <algorithm>
#include <array>

#include "netlink/kernel.h"
#include "netlink/owner.h"

namespace cw::netlink {

// fe80::ffff:ffff:<nexthop id>: no VTEP has such an interface id (theirs are EUI-64).
[[nodiscard]] inline IpAddress hold_address(std::uint32_t nexthop_id) {
  std::array<std::uint8_t, 16> bytes{0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff};
  for (unsigned i = 0; i < 4; ++i) {
    bytes[12 + i] = static_cast<std::uint8_t>(nexthop_id >> (24 - 8 * i));
  }
  return IpAddress::v6(bytes);
}
[[nodiscard]] inline Nexthop hold_nexthop(std::uint32_t nexthop_id) {
  return {nexthop_id, std::string(kVxlanLink), hold_address(nexthop_id), Family::kV6, false};
}
// The queue behind the queue: while a hold's packets go out, what comes meanwhile waits there and
// does not overtake them (the kernel sends past a queue that it is still emptying).
[[nodiscard]] inline Nexthop behind_hold(std::uint32_t nexthop_id) {
  const auto first = hold_address(nexthop_id);
  std::array<std::uint8_t, 16> address{};
  std::copy(first.bytes().begin(), first.bytes().end(), address.begin());
  address[11] = 0xfe;
  return {nexthop_id, std::string(kVxlanLink), IpAddress::v6(address), Family::kV6, false};
}
// Whether it is the neighbour of a hold or of the queue behind one.
[[nodiscard]] inline bool is_hold_address(const IpAddress& address) {
  if (address.is_v4()) return false;
  auto start_of = [](IpAddress whole) {
    std::array<std::uint8_t, 12> start{};
    std::copy_n(whole.bytes().begin(), start.size(), start.begin());
    return start;
  };
  const auto start = start_of(address);
  return start == start_of(hold_address(0)) || start == start_of(*behind_hold(0).gateway);
}
[[nodiscard]] inline bool is_hold(const Nexthop& nexthop) {
  return nexthop.gateway == hold_address(nexthop.id);
}

// Room for what a fast TCP stream has under way, per held cluster. A limit, not a reservation.
inline constexpr const char* kHoldBytes = "16777216";

}  // namespace cw::netlink
