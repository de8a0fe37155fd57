// The nexthop objects of one owner. They are the fast path: a change of gateway replaces them from
// memory and touches nothing else. A pass over the whole state may run on another thread meanwhile,
// so it asks the loop thread to do its part of them, and they always get their newest wanted value.
// Loop thread only.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <utility>

#include "netlink/kernel.h"
#include "netlink/owners.h"
#include "netlink/pass_report.h"

namespace cw::netlink {

using NexthopMap = std::map<std::uint32_t, Nexthop>;

class Nexthops {
 public:
  Nexthops(Kernel& kernel, Owner owner) : kernel_(kernel), owner_(std::move(owner)) {}

  // The newest wanted values, before a pass.
  void want(NexthopMap wanted) { wanted_ = std::move(wanted); }
  // VXLAN neighbours as a pass wrote them: holds need them.
  void set_neighbours(std::map<IpAddress, Mac> neighbours) { neighbours_ = std::move(neighbours); }

  // A pass's part: writes what differs from the kernel; the ids that are there and not wanted.
  [[nodiscard]] std::set<std::uint32_t> write(PassReport& report);
  // Its end: removes these, those excepted that are wanted by now.
  void remove(const std::set<std::uint32_t>& surplus, PassReport& report);

  // The fast path: replaces the objects that differ from the last ones written, and nothing else.
  // Objects that do not exist yet, or go, are a pass's. What a hold (hold.h) has queued goes to its
  // new gateway first.
  PassReport change(const NexthopMap& wanted);

 private:
  void release(const Nexthop& next);

  Kernel& kernel_;
  Owner owner_;
  NexthopMap wanted_;   // newest
  NexthopMap written_;  // last
  std::map<IpAddress, Mac> neighbours_;
};

}  // namespace cw::netlink
