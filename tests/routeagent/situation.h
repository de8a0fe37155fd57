// What a node sees and what homing decided, as one value for tests of pure functions.
#pragma once

#include "routeagent/node/desired.h"

namespace cw::routeagent {

struct Situation : Seen, Decision {};

inline NodeState desired_state(const Situation& in) { return desired_state(in, in); }
inline netlink::NexthopMap desired_nexthops(const Situation& in) {
  return desired_nexthops(in, in);
}

}  // namespace cw::routeagent
