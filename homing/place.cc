#include "homing/place.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace cw::homing {

namespace {

// Lower is better. Where no gateway works, the one that carries the prefix now keeps it.
enum class Standing { kGood, kDraining, kCarries, kDown };

Standing standing_of(const GatewayId& id, const Standings& standings, bool carries) {
  if (standings.working.count(id) == 0) return carries ? Standing::kCarries : Standing::kDown;
  return standings.draining.count(id) != 0 ? Standing::kDraining : Standing::kGood;
}

}  // namespace

Homes homes_of(const std::map<std::string, RemoteCluster>& clusters) {
  Homes homes;
  for (const auto& [cluster, remote] : clusters) {
    auto& views = homes[cluster];
    for (const auto& [ordinal, gateway] : remote.gateways) {
      views.push_back({ordinal, true, false, PrefixSet(gateway.own)});
    }
  }
  return homes;
}

std::optional<GatewayId> owner_of(const std::string& cluster, const Prefix& prefix,
                                  const std::vector<GatewayView>& homes, const Standings& standings,
                                  const GatewayId* current) {
  if (homes.size() == 1) return GatewayId{cluster, homes.front().ordinal};  // nothing to choose
  const auto claim = standings.claimed.find(prefix);
  if (claim != standings.claimed.end() && claim->second.cluster == cluster &&
      standings.working.count(claim->second) != 0) {
    return claim->second;
  }
  std::optional<GatewayId> home;
  auto best = Standing::kDown;
  for (const auto ordinal : home_order(cluster, prefix, homes)) {
    const GatewayId id{cluster, ordinal};
    const bool carries = current != nullptr && *current == id;
    const auto rank = standing_of(id, standings, carries);
    if (rank < best || !home) {
      best = rank;
      home = id;
    }
  }
  return home;
}

Placement placement_of(const std::map<std::string, RemoteCluster>& clusters, const Homes& homes,
                       const Standings& standings, const Placement& before) {
  Placement placement;
  for (const auto& [cluster, remote] : clusters) {
    const auto& gateways = homes.at(cluster);
    for (const auto& prefix : remote.cidrs) {
      const auto current = before.find(prefix);
      auto owner = owner_of(cluster, prefix, gateways, standings,
                            current == before.end() ? nullptr : &current->second);
      // emplace: should two clusters hold one prefix against all admission, the first keeps it.
      if (owner) placement.emplace_hint(placement.end(), prefix, std::move(*owner));
    }
  }
  return placement;
}

Placement placement_of(const std::map<std::string, RemoteCluster>& clusters,
                       const Standings& standings, const Placement& before) {
  return placement_of(clusters, homes_of(clusters), standings, before);
}

std::map<GatewayId, std::set<Prefix>> moves(const Placement& before, const Placement& after) {
  std::map<GatewayId, std::set<Prefix>> moved;
  for (const auto& [prefix, owner] : after) {
    const auto old = before.find(prefix);
    if (old != before.end() && old->second != owner) moved[owner].insert(prefix);
  }
  return moved;
}

std::vector<Move> explained_moves(const Placement& before, const Placement& after,
                                  const Standings& now) {
  std::map<std::tuple<GatewayId, GatewayId, std::string>, Move> moved;
  for (const auto& [prefix, owner] : after) {
    const auto old = before.find(prefix);
    if (old == before.end() || old->second == owner) continue;
    const auto& from = old->second;
    const auto claim = now.claimed.find(prefix);
    const auto name = fmt::format("{}/{}", from.cluster, from.ordinal);
    Move move{from, owner, {}, now.working.count(from) == 0, 1};
    if (move.broke) {
      move.reason = fmt::format("the tunnel to {} does not work", name);
    } else if (now.draining.count(from) != 0) {
      move.reason = fmt::format("{} is draining", name);
    } else if (claim != now.claimed.end() && claim->second == owner) {
      move.reason = fmt::format("its nodes chose {}/{}", owner.cluster, owner.ordinal);
    } else {
      move.reason = fmt::format("home at {}/{}", owner.cluster, owner.ordinal);
    }
    const auto [at, first] = moved.try_emplace({from, owner, move.reason}, move);
    if (!first) ++at->second.prefixes;
  }
  std::vector<Move> list;
  list.reserve(moved.size());
  for (auto& [key, move] : moved) list.push_back(std::move(move));
  return list;
}

}  // namespace cw::homing
