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
  friend bool operator==(const PassReport&, const PassReport&) = default;
};

}  // namespace cw::routeagent
