#include "homing/order.h"

#include <algorithm>
#include <utility>

namespace cw::homing {

namespace {

// FNV-1a over the text, then splitmix64's finisher, because FNV alone distributes short, similar
// names badly. The function is part of the protocol between clusters: never change it.
std::uint64_t score(std::string_view cluster, std::string_view prefix, std::uint32_t ordinal) {
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
  take(prefix);
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

std::vector<Rank> ranked(std::string_view cluster, const Prefix& prefix,
                         std::span<const GatewayView> gateways) {
  const auto text = prefix.to_string();
  std::vector<Rank> ranks;
  ranks.reserve(gateways.size());
  for (const auto& gateway : gateways) {
    ranks.push_back({gateway.own.covering(prefix).has_value(),
                     score(cluster, text, gateway.ordinal), &gateway});
  }
  std::sort(ranks.begin(), ranks.end(), [](const Rank& a, const Rank& b) {
    if (a.own != b.own) return a.own;
    if (a.score != b.score) return a.score > b.score;
    return a.gateway->ordinal < b.gateway->ordinal;
  });
  return ranks;
}

}  // namespace

std::vector<std::uint32_t> home_order(std::string_view cluster, const Prefix& prefix,
                                      std::span<const GatewayView> gateways) {
  std::vector<std::uint32_t> order;
  for (const auto& rank : ranked(cluster, prefix, gateways)) order.push_back(rank.gateway->ordinal);
  return order;
}

std::optional<std::uint32_t> home_of(std::string_view cluster, const Prefix& prefix,
                                     std::span<const GatewayView> gateways) {
  std::optional<std::uint32_t> draining;
  for (const auto& rank : ranked(cluster, prefix, gateways)) {
    if (!rank.gateway->usable) continue;
    if (!rank.gateway->draining) return rank.gateway->ordinal;
    if (!draining) draining = rank.gateway->ordinal;
  }
  return draining;
}

}  // namespace cw::homing
