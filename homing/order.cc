#include "homing/order.h"

#include <algorithm>
#include <utility>

namespace cw::homing {

namespace {

// FNV-1a over the text, then splitmix64's finisher, because FNV alone distributes short, similar
// names badly. The function is part of the protocol between clusters: never change it.
std::uint64_t score(std::string_view cluster, std::string_view name, std::uint32_t ordinal) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  const auto take = [&hash](std::string_view text) {
    for (const char c : text) {
      hash ^= static_cast<unsigned char>(c);
      hash *= 0x100000001b3ULL;
    }
    hash ^= 0xff;  // ends each part, so that "ab","c" differs from "a","bc"
    hash *= 0x100000001b3ULL;
  };
  take(cluster);
  take(name);
  take(std::to_string(ordinal));
  hash ^= hash >> 30U;
  hash *= 0xbf58476d1ce4e5b9ULL;
  hash ^= hash >> 27U;
  hash *= 0x94d049bb133111ebULL;
  return hash ^ hash >> 31U;
}

struct Rank {
  bool own = false;
  std::uint64_t score = 0;
  const GatewayView* gateway = nullptr;
};

std::vector<Rank> ranked(const PrefixOwner& owner, std::span<const GatewayView> gateways) {
  std::vector<Rank> ranks;
  ranks.reserve(gateways.size());
  for (const auto& gateway : gateways) {
    ranks.push_back({!owner.whole_cluster() && gateway.node == owner.node,
                     score(owner.cluster, owner.node, gateway.ordinal), &gateway});
  }
  std::sort(ranks.begin(), ranks.end(), [](const Rank& a, const Rank& b) {
    if (a.own != b.own) return a.own;
    if (a.score != b.score) return a.score > b.score;
    return a.gateway->ordinal < b.gateway->ordinal;
  });
  return ranks;
}

std::vector<std::uint32_t> ordinals(const std::vector<Rank>& ranks) {
  std::vector<std::uint32_t> order;
  order.reserve(ranks.size());
  for (const auto& rank : ranks) order.push_back(rank.gateway->ordinal);
  return order;
}

std::optional<std::uint32_t> first_usable(const std::vector<Rank>& ranks) {
  std::optional<std::uint32_t> draining;
  for (const auto& rank : ranks) {
    if (!rank.gateway->usable) continue;
    if (!rank.gateway->draining) return rank.gateway->ordinal;
    if (!draining) draining = rank.gateway->ordinal;
  }
  return draining;
}

}  // namespace

std::vector<std::uint32_t> home_order(const PrefixOwner& owner,
                                      std::span<const GatewayView> gateways) {
  return ordinals(ranked(owner, gateways));
}

std::optional<std::uint32_t> home_of(const PrefixOwner& owner,
                                     std::span<const GatewayView> gateways) {
  return first_usable(ranked(owner, gateways));
}

}  // namespace cw::homing
