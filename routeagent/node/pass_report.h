// What a pass over the kernel came to.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace cw::routeagent {

struct PassReport {
  std::size_t steps = 0;            // changes made or tried
  std::size_t routes = 0;           // to remote clusters, wanted
  std::vector<std::string> errors;  // of the steps that failed, in order
  // What another program does to this node's traffic, and the remedy (node/rule_order.h).
  std::vector<std::string> complaints = {};
  std::size_t rules_before = 0;  // rules of other programs that stand before ours
  friend bool operator==(const PassReport&, const PassReport&) = default;
};

}  // namespace cw::routeagent
