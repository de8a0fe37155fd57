// Tells people that another program removed or changed objects of ours, and that they are there
// again (PassReport::restored). The first repair is told at once, and later ones together, once per
// kGap: a program that flushes in a loop fills no log. Loop thread only.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>

#include "base/loop.h"
#include "base/metrics.h"

namespace cw::netlink {

// "14 routes, 2 rules".
[[nodiscard]] std::string repairs_text(const std::map<std::string, std::size_t>& restored);

class Repairs {
 public:
  static constexpr Duration kGap = std::chrono::seconds(10);

  // `tell` gets one sentence for an Event. The log has it, too. `total` counts objects.
  Repairs(Loop& loop, Counter& total, std::function<void(const std::string& sentence)> tell);

  void add(const std::map<std::string, std::size_t>& restored);

 private:
  void tell();

  Loop& loop_;
  Counter& total_;
  std::function<void(const std::string& sentence)> tell_;
  std::map<std::string, std::size_t> untold_;
  Handle pause_;  // active: told a moment ago
};

}  // namespace cw::netlink
