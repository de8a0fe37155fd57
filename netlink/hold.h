// Holding packets during a handover. The nexthop object points at a neighbour on the VXLAN device
// with an address that no node has. The kernel queues packets that it cannot resolve, in order, up
// to unres_qlen_bytes, until resolution fails after a few seconds. When the neighbour gets a MAC
// address, the kernel sends the queue. Pure.
#pragma once

#include <algorithm>
#include <array>

#include "netlink/kernel.h"
#include "netlink/owner.h"

namespace cw::netlink {

// fe80::ffff:ffff:<nexthop id>. No node has such an interface id on the device: theirs are EUI-64.
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
// The second queue of a hold. The kernel sends new packets past a queue that it is still emptying.
// So while the first queue goes out, new packets wait here and do not overtake.
[[nodiscard]] inline Nexthop behind_hold(std::uint32_t nexthop_id) {
  const auto first = hold_address(nexthop_id);
  std::array<std::uint8_t, 16> address{};
  std::copy(first.bytes().begin(), first.bytes().end(), address.begin());
  address[11] = 0xfe;
  return {nexthop_id, std::string(kVxlanLink), IpAddress::v6(address), Family::kV6, false};
}
// Whether it is the neighbour of a hold's first or second queue.
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

// 16 MiB: room for what a fast TCP stream has under way, per held cluster. A limit, not a
// reservation.
inline constexpr const char* kHoldBytes = "16777216";

}  // namespace cw::netlink
