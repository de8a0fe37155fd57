// The daemon's answers to probes, and what it takes from them. The asker's key is proven
// (tunnel/probe/prober.h). A node speaks for its own prefixes only, a gateway for its cluster's.
#include <utility>

#include "gateway/daemon_identified.h"

namespace cw::gateway {

namespace {

// The most probes to one remote gateway in one turn, each with up to homing::kMaxClaims claims.
// More would not fit the buffer of its socket. The next node's request begins the next turn.
constexpr int kNewsProbes = 32;

}  // namespace

void Daemon::answer(tunnel::Probe& reply) const {
  reply.draining = drains();
  if (identified_ == nullptr) return;
  const auto& tunnels = identified_->tunnels;
  for (const auto& [cluster, remote] : tunnels.clusters()) {
    reply.clusters.push_back(
        {cluster, tunnels.reached().count(cluster) != 0, tunnels.degraded().count(cluster) != 0});
  }
}

tunnel::ProberHooks Daemon::tunnel_hooks() {
  tunnel::ProberHooks hooks;
  hooks.answer = [this](const tunnel::Probe& request, const tunnel::ProbeAsker& asker,
                        tunnel::Probe& reply) {
    answer(reply);
    answer_gateway(request, asker, reply);
  };
  hooks.on_change = [this](const GatewayId&) { on_probe(); };
  hooks.ask = [this](const GatewayId& target, tunnel::Probe& request) {
    if (identified_ != nullptr) identified_->claims.fill(target, deps_.loop.now(), request);
  };
  hooks.on_reply = [this](const GatewayId& target, const tunnel::Probe& reply) {
    if (identified_ != nullptr) identified_->claims.hear(target, deps_.loop.now(), reply);
  };
  hooks.on_stranger = [this](const GatewayId& target) {
    if (identified_ != nullptr) identified_->claims.forget(target);
  };
  hooks.on_refused = [this](tunnel::Refusal refusal, const IpAddress& from,
                            const std::string& words) {
    refused_in_tunnel_.add(refusal, from, words);
  };
  return hooks;
}

tunnel::ProberHooks Daemon::node_hooks() {
  tunnel::ProberHooks hooks;
  hooks.answer = [this](const tunnel::Probe& request, const tunnel::ProbeAsker& asker,
                        tunnel::Probe& reply) {
    answer(reply);
    answer_node(request, asker, reply);
  };
  hooks.on_refused = [this](tunnel::Refusal refusal, const IpAddress& from,
                            const std::string& words) {
    refused_of_nodes_.add(refusal, from, words);
  };
  return hooks;
}

// An echoed claim means "done", not "heard". Most drivers have moved the prefixes before the answer
// goes out. For other drivers, and for claims that wait (homing/claim_flow.h), a later answer
// echoes the claim.
void Daemon::answer_gateway(const tunnel::Probe& request, const tunnel::ProbeAsker& asker,
                            tunnel::Probe& reply) {
  const auto* id = std::get_if<GatewayId>(&asker.party);
  if (identified_ == nullptr || id == nullptr || request.extra.entries == 0) return;
  identified_->tunnels.change_claims(
      identified_->claims.from_remote(*id, {asker.fresh, deps_.loop.now()}, request, reply));
  auto claims = homing::claims_of(reply);
  std::erase_if(claims, [this](const auto& one) {
    return !identified_->tunnels.applied() || !identified_->tunnels.placed(one.key.prefix);
  });
  homing::put_claims(claims, reply);
}

void Daemon::answer_node(const tunnel::Probe& request, const tunnel::ProbeAsker& asker,
                         tunnel::Probe& reply) {
  const auto* node = std::get_if<tunnel::NodeName>(&asker.party);
  if (identified_ == nullptr || node == nullptr) return;
  identified_->to_tell.merge(identified_->claims.from_node(
      node->name, {asker.fresh, deps_.loop.now()}, request, identified_->tunnels.working(), reply));
  // Many nodes claim at once when a gateway is lost. Claims that came together go out together.
  if (identified_->to_tell.empty() || identified_->telling.active()) return;
  identified_->telling = deps_.loop.after(Duration::zero(), [this] { tell_remotes(); });
}

void Daemon::tell_remotes() {
  identified_->telling.reset();
  for (const auto& id : std::exchange(identified_->to_tell, {})) {
    for (int n = 0; n < kNewsProbes && identified_->claims.has_news(id, deps_.loop.now()); ++n) {
      identified_->probes.ask_now(id);
    }
  }
}

}  // namespace cw::gateway
