#include "routeagent/node/owned.h"

#include <algorithm>
#include <array>
#include <map>

#include "base/prefix_set.h"

namespace cw::routeagent {
namespace {

using Owners = std::map<Prefix, bool>;  // true: the node's

std::array<Prefix, 2> halves(const Prefix& prefix) {
  const auto low = *Prefix::of(prefix.address(), prefix.length() + 1);
  const auto from = prefix.address().bytes();
  std::array<std::uint8_t, 16> bytes{};
  std::copy(from.begin(), from.end(), bytes.begin());
  auto& byte = bytes.at(prefix.length() / 8);
  byte = static_cast<std::uint8_t>(byte | (0x80U >> (prefix.length() % 8)));
  return {low, *Prefix::of(*IpAddress::from_bytes({bytes.data(), from.size()}), low.length())};
}

// `inside`: the prefixes within `prefix`, and it itself. `ours`: whose it is but for them.
void add_owned(const Prefix& prefix, const Owners& inside, bool ours, std::vector<Prefix>& owned) {
  if (const auto itself = inside.find(prefix); itself != inside.end()) ours = itself->second;
  const bool whole = std::all_of(inside.begin(), inside.end(),
                                 [ours](const auto& one) { return one.second == ours; });
  if (whole) {
    if (ours) owned.push_back(prefix);
    return;
  }
  for (const auto& half : halves(prefix)) {
    Owners within;
    for (auto at = inside.lower_bound(half); at != inside.end() && half.contains(at->first); ++at) {
      within.insert(*at);
    }
    add_owned(half, within, ours, owned);
  }
}

}  // namespace

std::vector<Prefix> owned_addresses(const std::vector<Prefix>& own,
                                    const std::vector<Prefix>& others) {
  Owners owners;
  const PrefixSet outermost(own);
  for (const auto& prefix : own) owners.emplace(prefix, true);
  for (const auto& prefix : others) {
    if (outermost.covering(prefix)) owners.emplace(prefix, false);
  }
  std::vector<Prefix> owned;
  for (const auto& prefix : outermost.outermost()) {
    Owners within;
    for (auto at = owners.lower_bound(prefix); at != owners.end() && prefix.contains(at->first);
         ++at) {
      within.insert(*at);
    }
    add_owned(prefix, within, true, owned);
  }
  return owned;
}

}  // namespace cw::routeagent
