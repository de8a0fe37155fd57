// An immutable set of prefixes of both families. It answers "contains" and "overlaps" in O(log n).
// Two prefixes are nested or disjoint, so the sorted outermost ones decide.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "base/prefix.h"

namespace cw {

class PrefixSet {
 public:
  PrefixSet() = default;
  explicit PrefixSet(std::span<const Prefix> prefixes);

  // The outermost member that contains the argument. No value: no single member does.
  [[nodiscard]] std::optional<Prefix> covering(const Prefix& prefix) const;
  [[nodiscard]] std::optional<Prefix> covering(const IpAddress& address) const;
  [[nodiscard]] bool contains(const IpAddress& address) const {
    return covering(address).has_value();
  }
  // A member that shares addresses with `prefix`: the one that contains it, else the lowest one
  // inside it.
  [[nodiscard]] std::optional<Prefix> overlapping(const Prefix& prefix) const;
  [[nodiscard]] bool empty() const { return outermost_.empty(); }
  // The members that no other member contains, sorted.
  [[nodiscard]] const std::vector<Prefix>& outermost() const { return outermost_; }
  friend bool operator==(const PrefixSet&, const PrefixSet&) = default;

 private:
  std::vector<Prefix> outermost_;
};

}  // namespace cw
