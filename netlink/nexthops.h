// The nexthop objects of one owner. They are the fast path: a change of gateway replaces them from
// memory and changes nothing else. A pass over the whole state may run on another thread at the
// same time. It asks the loop thread to do its part of them, so they always get their newest wanted
// value. Loop thread only.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <utility>

#include "netlink/kernel.h"
#include "netlink/owners.h"
#include "netlink/pass_report.h"
#include "netlink/state.h"

namespace cw::netlink {

class Nexthops {
 public:
  Nexthops(Kernel& kernel, Owner owner) : kernel_(kernel), owner_(std::move(owner)) {}

  // The newest wanted values, before a pass.
  void set_desired(NexthopMap wanted) { wanted_ = std::move(wanted); }
  // VXLAN neighbours as a pass wrote them. The release of a hold needs their MACs.
  void set_neighbours(std::map<IpAddress, Mac> neighbours) { neighbours_ = std::move(neighbours); }

  // For a pass: writes what differs from the kernel. Returns the ids that exist and are not wanted.
  [[nodiscard]] std::set<std::uint32_t> write(PassReport& report);
  // For the end of a pass: removes these ids, except those that are wanted again.
  void remove(const std::set<std::uint32_t>& surplus, PassReport& report);

  // The fast path: replaces the objects that differ from the last ones written, and nothing else. A
  // pass makes new objects and removes old ones. Packets that a hold (hold.h) has queued go to the
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
