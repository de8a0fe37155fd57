// Who has a prefix: a node, or a cluster as a whole. All prefixes of an owner have one home
// (homing/order.h), and claims are of owners (homing/claims.h). So a prefix that comes, goes or
// moves to another node needs no decision. Where one prefix lies inside another one, the longer one
// says who has its addresses. Pure.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/prefix.h"

namespace cw::homing {

struct PrefixOwner {
  std::string cluster;  // its id
  std::string node;     // the Node's name; empty: the cluster as a whole, no node in particular
  [[nodiscard]] bool whole_cluster() const { return node.empty(); }
  friend auto operator<=>(const PrefixOwner&, const PrefixOwner&) = default;
};

// An owner in the claims of its cluster: the first 16 bytes of SHA-256("causeway owner" || Node's
// name), and zeros for the cluster as a whole. It has one size whatever the name's length is.
struct OwnerId {
  std::array<std::uint8_t, 16> bytes{};
  friend auto operator<=>(const OwnerId&, const OwnerId&) = default;
};
[[nodiscard]] OwnerId owner_id(std::string_view node);
[[nodiscard]] std::set<Family> families_of(const std::vector<Prefix>& prefixes);

// The prefixes of one family of one owner: what one claim is about. Families are chosen apart,
// because a gateway may forward one of them and not the other.
struct Share {
  OwnerId owner;
  Family family = Family::kV4;
  friend auto operator<=>(const Share&, const Share&) = default;
};

}  // namespace cw::homing
