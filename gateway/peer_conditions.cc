#include "gateway/peer_conditions.h"

#include "api/types/codec.h"
#include "base/log.h"

namespace cw::gateway {
namespace {

const Trouble* find(const std::map<api::ObjectKey, Trouble>& troubles, const api::ObjectKey& key) {
  const auto found = troubles.find(key);
  return found == troubles.end() ? nullptr : &found->second;
}

}  // namespace

std::optional<std::vector<api::Condition>> next_conditions(const api::ClusterPeer& peer,
                                                           const Trouble* refused,
                                                           const Trouble* gateways, WallTime now) {
  auto conditions = peer.status.conditions;
  const auto set = [&](std::string type, api::ConditionStatus status, const std::string& reason,
                       const std::string& message) {
    return api::set_condition(
        conditions, {std::move(type), status, reason, message, peer.meta.generation, {}}, now);
  };
  bool changed = false;
  // Of several ClusterPeers of one cluster the importer tells.
  if (refused != nullptr && refused->reason != "DuplicateCluster") {
    changed |= set("Accepted", api::ConditionStatus::kFalse, refused->reason, refused->message);
  }
  const auto* told = api::find_condition(conditions, "GatewaysAccepted");
  if (gateways != nullptr) {
    changed |=
        set("GatewaysAccepted", api::ConditionStatus::kFalse, gateways->reason, gateways->message);
  } else if (told != nullptr && told->status != api::ConditionStatus::kTrue) {
    changed |=
        set("GatewaysAccepted", api::ConditionStatus::kTrue, "Accepted", "all gateways are in use");
  }
  if (!changed) return std::nullopt;
  return conditions;
}

void PeerConditions::want(const RemoteState::Peers& all,
                          const std::map<api::ObjectKey, Trouble>& refused,
                          const std::map<api::ObjectKey, Trouble>& gateways) {
  std::erase_if(writes_, [&](const auto& entry) { return all.count(entry.first) == 0; });
  for (const auto& [key, peer] : all) {
    auto conditions =
        next_conditions(*peer, find(refused, key), find(gateways, key), loop_.wall_now());
    if (!conditions) continue;
    auto& write = writes_[key];
    if (write.running || loop_.now() < write.not_before) continue;
    auto next = *peer;
    next.status.conditions = std::move(*conditions);
    write.running = true;
    write.request = store_.update_status(
        {api::Kind::kClusterPeer, key, next.meta.resource_version, api::encode(next)},
        [this, name = key](const Result<api::Object>& result) {
          auto& done = writes_[name];
          done.running = false;
          done.not_before = loop_.now() + std::chrono::seconds(1);
          if (result || result.error().code == Errc::kConflict) return;
          log_warn("conditions not written",
                   {{"peer", name.to_string()}, {"error", result.error().text}});
        });
  }
}

}  // namespace cw::gateway
