#include "gateway/feed/peer_status.h"

#include <algorithm>
#include <utility>

namespace cw::gateway {
namespace {

using std::chrono::milliseconds;

const Trouble* find(const std::map<api::ObjectKey, Trouble>& troubles, const api::ObjectKey& key) {
  const auto found = troubles.find(key);
  return found == troubles.end() ? nullptr : &found->second;
}

// Sets the conditions of one ClusterPeer.
struct Conditions {
  const api::ClusterPeer& peer;
  std::vector<api::Condition>& all;
  WallTime now;

  void set(api::Condition next) const {
    next.observed_generation = peer.meta.generation;
    (void)api::set_condition(all, std::move(next), now);  // the status is compared as a whole
  }
  void set(std::string type, bool holds, std::string reason, std::string message) const {
    set({std::move(type),
         holds ? api::ConditionStatus::kTrue : api::ConditionStatus::kFalse,
         std::move(reason),
         std::move(message),
         0,
         {}});
  }
};

// The status of the ClusterPeer that counts for its cluster.
void set_accepted(api::ClusterPeer::Status& status, const Conditions& conditions,
                  const AcceptedCluster& accepted, std::optional<bool> seen,
                  const RefusalReport* told) {
  status.cidrs = accepted.cidrs;
  status.nodes.clear();
  status.nodes.reserve(accepted.nodes.size());
  for (const auto& [name, prefixes] : accepted.nodes) status.nodes.push_back({name, prefixes});
  status.gateways = accepted.gateways;
  const bool connected = seen.value_or(status.connected);
  status.connected = connected;
  conditions.set("Accepted", true, "Paired", "the cluster is paired");
  conditions.set("Connected", connected, connected ? "TunnelUp" : "NoTunnel",
                 connected ? "at least one tunnel carries traffic"
                           : "no tunnel to the cluster carries traffic");
  conditions.set(claims_condition(accepted.refusals));
  if (accepted.complete) conditions.set(imports_condition(accepted.left_out));
  if (told != nullptr) conditions.set(accepted_by_peer(*told, conditions.peer.spec.cluster_id));
}

}  // namespace

std::optional<bool> PeerFacts::is_connected(const std::string& cluster, TimePoint now) const {
  if (connected.count(cluster) != 0) return true;
  if (lost.count(cluster) == 0 && now < settled) return std::nullopt;
  return false;
}

PeerStatus::PeerStatus(Loop& loop, api::Store& store, Random& random, const RemoteState& remotes,
                       const PeerFacts& facts, api::EventRecorder& events,
                       std::function<void()> on_paired)
    : loop_(loop),
      remotes_(remotes),
      facts_(facts),
      on_paired_(std::move(on_paired)),
      due_(loop, milliseconds(10), [this] { reconcile_each(); }),
      refusals_due_(loop, milliseconds(1000), [this] { reconcile_each(); }),
      peers_(loop, store, random, [this] { peers_changed(); }),
      events_(loop, events, peers_),
      bad_peers_(loop, store, events, api::ClusterPeer::kKind, "Accepted"),
      keeper_(loop, store, random,
              {[this](const auto& id) { return step(id.key); },
               [this](const auto& id) { return peers_.find(id.key); }}) {
  if (loop.now() < facts.settled) {
    settled_ = loop.after(facts.settled - loop.now(), [this] { due_.poke(); });
  }
  peers_.set_on_bad([this](const auto& key, const Error& error) { bad_peers_.report(key, error); });
}

void PeerStatus::peers_changed() {
  events_.look(true);
  if (!peers_.synced()) return;
  const auto before = std::exchange(paired_, api::peers_by_cluster(peers_.items()));
  const auto same_id = [](const auto& a, const auto& b) { return a.first == b.first; };
  if (!before || !std::ranges::equal(*before, *paired_, same_id)) on_paired_();
  due_.poke();
}

void PeerStatus::reconcile_each() {
  for (const auto& [key, peer] : peers_.items()) keeper_.look({api::ClusterPeer::kKind, key});
}

api::Step PeerStatus::step(const api::ObjectKey& key) const {
  const auto peer = peers_.find(key);
  if (peer == nullptr) return {};
  auto next = *peer;
  auto& status = next.status;
  const Conditions conditions{*peer, status.conditions, loop_.wall_now()};
  const auto& cluster = peer->spec.cluster_id;
  const auto accepted = remotes_.clusters().find(cluster);
  const auto* refused = find(facts_.refused, key);
  if (refused != nullptr && refused->reason != "DuplicateCluster") {
    conditions.set("Accepted", false, refused->reason, refused->message);
  } else if (accepted == remotes_.clusters().end() || peer->spec.unpaired) {
    // Nothing is known of it.
  } else if (paired_->at(cluster) == peer) {
    const auto told = facts_.told.find(cluster);
    set_accepted(status, conditions, accepted->second, facts_.is_connected(cluster, loop_.now()),
                 told == facts_.told.end() ? nullptr : &told->second);
  } else {
    status.cidrs.clear();
    status.nodes.clear();
    status.gateways.clear();
    status.connected = false;
    conditions.set("Accepted", false, "DuplicateCluster",
                   "an older ClusterPeer has cluster id " + cluster);
  }
  const auto* told = api::find_condition(status.conditions, "GatewaysAccepted");
  if (const auto* trouble = find(facts_.left_out, key)) {
    conditions.set("GatewaysAccepted", false, trouble->reason, trouble->message);
  } else if (told != nullptr && told->status != api::ConditionStatus::kTrue) {
    conditions.set("GatewaysAccepted", true, "Accepted", "all gateways are in use");
  }
  return next == *peer ? api::Step() : api::write_step(api::Verb::kStatus, next);
}

}  // namespace cw::gateway
