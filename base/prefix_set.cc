#include "base/prefix_set.h"

#include <algorithm>

namespace cw {

PrefixSet::PrefixSet(std::span<const Prefix> prefixes) {
  std::vector<Prefix> sorted(prefixes.begin(), prefixes.end());
  // In order of address, then length: a prefix stands before every prefix inside it.
  std::sort(sorted.begin(), sorted.end());
  for (const auto& prefix : sorted) {
    if (outermost_.empty() || !outermost_.back().contains(prefix)) outermost_.push_back(prefix);
  }
}

std::optional<Prefix> PrefixSet::covering(const Prefix& prefix) const {
  // The last member that is not after `prefix`. A longer member with the same address is after it.
  const auto after = std::upper_bound(outermost_.begin(), outermost_.end(), prefix);
  if (after == outermost_.begin() || !std::prev(after)->contains(prefix)) return std::nullopt;
  return *std::prev(after);
}

std::optional<Prefix> PrefixSet::covering(const IpAddress& address) const {
  return covering(Prefix::host(address));
}

std::optional<Prefix> PrefixSet::overlapping(const Prefix& prefix) const {
  if (auto container = covering(prefix)) return container;
  const auto first = std::lower_bound(outermost_.begin(), outermost_.end(), prefix);
  if (first == outermost_.end() || !prefix.contains(*first)) return std::nullopt;
  return *first;
}

}  // namespace cw
