// The addresses that a node has, where prefixes of nodes lie inside one another: the longer prefix
// says whose an address is (docs/protocol/homing.md, "Owners"). Pure.
#pragma once

#include <vector>

#include "base/prefix.h"

namespace cw::routeagent {

// The prefixes that together have exactly these addresses; sorted and disjoint. `own`: of the node.
// `others`: of all other nodes. Where both have one prefix, it is the node's.
[[nodiscard]] std::vector<Prefix> owned_addresses(const std::vector<Prefix>& own,
                                                  const std::vector<Prefix>& others);

}  // namespace cw::routeagent
