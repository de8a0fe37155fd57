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
    std::vector<GatewayView> views;
    views.reserve(remote.gateways.size());
    for (const auto& [ordinal, gateway] : remote.gateways) {
      views.push_back({ordinal, true, false, gateway.node});
    }
    for (const auto& [node, prefixes] : remote.nodes) {
      const auto order = home_order({cluster, node}, views);
      const auto id = owner_id(node);
      for (const auto& prefix : prefixes) {
        auto& home = homes[{cluster, {id, prefix.family()}}];
        home.prefixes.push_back(prefix);
        if (home.order.empty()) home.order = order;
      }
    }
  }
  return homes;
}

std::optional<GatewayId> carrier_of(const ClaimKey& key, const std::vector<std::uint32_t>& order,
                                    const Standings& standings, const GatewayId* current) {
  if (order.size() == 1) return GatewayId{key.cluster, order.front()};  // nothing to choose
  const auto claim = standings.claimed.find(key);
  if (claim != standings.claimed.end() && standings.working.count(claim->second) != 0) {
    return claim->second;
  }
  std::optional<GatewayId> home;
  auto best = Standing::kDown;
  for (const auto ordinal : order) {
    const GatewayId id{key.cluster, ordinal};
    const bool carries = current != nullptr && *current == id;
    const auto rank = standing_of(id, standings, carries);
    if (rank < best || !home) {
      best = rank;
      home = id;
    }
  }
  return home;
}

Placement placement_of(const Homes& homes, const Standings& standings, const Placement& before) {
  Placement placement;
  for (const auto& [key, home] : homes) {
    for (const auto& prefix : home.prefixes) {
      const auto current = before.find(prefix);
      auto carrier = carrier_of(key, home.order, standings,
                                current == before.end() ? nullptr : &current->second);
      // emplace: should two clusters hold one prefix against all admission, the first keeps it.
      if (carrier) placement.emplace(prefix, std::move(*carrier));
    }
  }
  return placement;
}

std::map<GatewayId, std::set<Prefix>> moves(const Placement& before, const Placement& after) {
  std::map<GatewayId, std::set<Prefix>> moved;
  for (const auto& [prefix, carrier] : after) {
    const auto old = before.find(prefix);
    if (old != before.end() && old->second != carrier) moved[carrier].insert(prefix);
  }
  return moved;
}

std::vector<Move> explained_moves(const Placement& before, const Placement& after,
                                  const Standings& now, const Homes& homes) {
  std::map<std::tuple<GatewayId, GatewayId, std::string>, Move> moved;
  for (const auto& [key, home] : homes) {
    const auto claim = now.claimed.find(key);
    for (const auto& prefix : home.prefixes) {
      const auto next = after.find(prefix);
      const auto old = before.find(prefix);
      if (next == after.end() || old == before.end() || old->second == next->second) continue;
      const auto& from = old->second;
      const auto& to = next->second;
      const auto name = fmt::format("{}/{}", from.cluster, from.ordinal);
      Move move{from, to, {}, now.working.count(from) == 0, 1};
      if (move.broke) {
        move.reason = fmt::format("the tunnel to {} does not work", name);
      } else if (now.draining.count(from) != 0) {
        move.reason = fmt::format("{} is draining", name);
      } else if (claim != now.claimed.end() && claim->second == to) {
        move.reason = fmt::format("its nodes chose {}/{}", to.cluster, to.ordinal);
      } else {
        move.reason = fmt::format("home at {}/{}", to.cluster, to.ordinal);
      }
      const auto [at, first] = moved.try_emplace({from, to, move.reason}, move);
      if (!first) ++at->second.prefixes;
    }
  }
  std::vector<Move> list;
  list.reserve(moved.size());
  for (auto& [key, move] : moved) list.push_back(std::move(move));
  return list;
}

}  // namespace cw::homing
