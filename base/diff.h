// The only diff: what to add, change and remove to turn `actual` into `desired`. It is in key
// order, so plans and logs are stable.
#pragma once

#include <map>
#include <vector>

namespace cw {

template <typename Key, typename Value>
struct Diff {
  std::vector<std::pair<Key, Value>> add;     // in desired only
  std::vector<std::pair<Key, Value>> change;  // in both, but different (the desired value)
  std::vector<std::pair<Key, Value>> remove;  // in actual only (the actual value)

  [[nodiscard]] bool empty() const { return add.empty() && change.empty() && remove.empty(); }
};

template <typename Key, typename Value>
[[nodiscard]] Diff<Key, Value> diff(const std::map<Key, Value>& actual,
                                    const std::map<Key, Value>& desired) {
  Diff<Key, Value> plan;
  auto have = actual.begin();
  auto want = desired.begin();
  while (have != actual.end() || want != desired.end()) {
    if (want == desired.end() || (have != actual.end() && have->first < want->first)) {
      plan.remove.emplace_back(*have++);
    } else if (have == actual.end() || want->first < have->first) {
      plan.add.emplace_back(*want++);
    } else {
      if (!(have->second == want->second)) plan.change.emplace_back(*want);
      ++have;
      ++want;
    }
  }
  return plan;
}

}  // namespace cw
