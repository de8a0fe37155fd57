#include "cli/mesh.h"

#include <fmt/format.h>

#include <map>

namespace cw::cli {

namespace {

Result<> all_differ(const std::vector<Member>& members) {
  std::map<std::string, const Member*> seen;
  for (const auto& member : members) {
    const auto [at, fresh] = seen.emplace(member.own.id, &member);
    if (fresh) continue;
    return fail(Errc::kInvalid, fmt::format("{} and {} are the same cluster, {}",
                                            at->second->address, member.address, member.own.id));
  }
  return {};
}

Result<> all_are_peers(const std::vector<Member>& members) {
  for (const auto& side : members) {
    for (const auto& other : members) {
      if (&side == &other || known_peer(side.own, other.own.id) != nullptr) continue;
      return fail(Errc::kNotFound,
                  fmt::format("{} is not a peer of {}: run `causewayctl pair {} {}` first",
                              other.own.id, side.own.id, side.address, other.address));
    }
  }
  return {};
}

Pairing pairing_of(const std::vector<Member>& members, std::size_t side, std::size_t other,
                   const MeshChoice& choice) {
  const auto& own = members[side].own;
  const auto& offer = members[other].offer;
  Pairing pairing{side,
                  other,
                  refreshed_peer(own, offer, choice.sharing, choice.keep_endpoints),
                  known_peer(own, members[other].own.id),
                  {}};
  if (pairing.known != nullptr) {
    pairing.changes = changes_of(pairing.known->spec, pairing.wanted.spec);
  }
  return pairing;
}

// The member as it will be: its peers are those of the plan, beside those of other clusters.
OwnCluster after(const OwnCluster& own, std::size_t side, const std::vector<Pairing>& plan) {
  auto next = own;
  for (const auto& pairing : plan) {
    if (pairing.side != side) continue;
    std::erase_if(next.peers, [&](const auto& peer) {
      return peer.spec.cluster_id == pairing.wanted.spec.cluster_id;
    });
    next.peers.push_back(pairing.wanted);
  }
  return next;
}

}  // namespace

Result<std::vector<Pairing>> mesh_of(const std::vector<Member>& members, const MeshChoice& choice) {
  if (auto good = all_differ(members); !good) return fail(good.error());
  if (choice.refresh) {
    if (auto good = all_are_peers(members); !good) return fail(good.error());
  }
  std::vector<Pairing> plan;
  for (std::size_t one = 0; one < members.size(); ++one) {
    for (std::size_t other = one + 1; other < members.size(); ++other) {
      plan.push_back(pairing_of(members, one, other, choice));
      plan.push_back(pairing_of(members, other, one, choice));
    }
  }
  for (std::size_t side = 0; side < members.size(); ++side) {
    const auto own = after(members[side].own, side, plan);
    for (const auto& pairing : plan) {
      if (pairing.side != side) continue;
      auto good = acceptable(pairing.wanted, own);
      if (!good) return fail(std::move(good.error()).context(members[side].address));
    }
  }
  return plan;
}

std::vector<std::pair<std::size_t, std::size_t>> changed_keys(const std::vector<Member>& members) {
  std::vector<std::pair<std::size_t, std::size_t>> changed;
  for (std::size_t side = 0; side < members.size(); ++side) {
    for (std::size_t other = 0; other < members.size(); ++other) {
      if (side == other) continue;
      const auto* known = known_peer(members[side].own, members[other].own.id);
      if (known == nullptr || new_keys(*known, members[other].offer.peer).empty()) continue;
      changed.emplace_back(side, other);
    }
  }
  return changed;
}

}  // namespace cw::cli
