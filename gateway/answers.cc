// The answers of Probes, and the claims that come and go with them.
#include <utility>

#include "gateway/probes.h"

namespace cw::gateway {
namespace {

// The most probes to one remote gateway in one turn, each with up to homing::kMaxClaims claims.
// More would not fit the buffer of its socket. The next node's request begins the next turn.
constexpr int kNewsProbes = 32;

}  // namespace

tunnel::ProberHooks Probes::tunnel_hooks() {
  tunnel::ProberHooks hooks;
  hooks.answer = [this](const auto& request, const auto& asker, auto& reply) {
    answer_gateway(request, asker, reply);
  };
  hooks.on_change = [this](const GatewayId&) { on_change_(); };
  hooks.ask = [this](const GatewayId& target, tunnel::Probe& request) {
    claims_.fill(target, base_.deps.loop.now(), request);
    sightings_.fill(target, request);
  };
  hooks.on_reply = [this](const GatewayId& target, const tunnel::Probe& reply) {
    claims_.hear(target, base_.deps.loop.now(), reply);
    sightings_.hear(target, reply);
  };
  hooks.on_stranger = [this](const GatewayId& target) { claims_.forget(target); };
  hooks.on_refused = [this](auto refusal, const IpAddress& from, const std::string& words) {
    base_.refused_in_tunnel.add(refusal, from, words);
  };
  return hooks;
}

tunnel::ProberHooks Probes::node_hooks() {
  tunnel::ProberHooks hooks;
  hooks.answer = [this](const auto& request, const auto& asker, auto& reply) {
    answer_node(request, asker, reply);
  };
  hooks.on_refused = [this](auto refusal, const IpAddress& from, const std::string& words) {
    base_.refused_of_nodes.add(refusal, from, words);
  };
  return hooks;
}

void Probes::answer(tunnel::Probe& reply) const {
  reply.draining = base_.drain.active();
  const auto& verdicts = tunnels_.verdicts();
  for (const auto& [cluster, remote] : tunnels_.clusters()) {
    reply.clusters.push_back(
        {cluster, verdicts.reached.count(cluster) != 0, verdicts.degraded.count(cluster) != 0});
  }
}

void Probes::answer_gateway(const tunnel::Probe& request, const tunnel::ProbeAsker& asker,
                            tunnel::Probe& reply) {
  answer(reply);
  const auto* id = std::get_if<GatewayId>(&asker.party);
  if (id == nullptr) return;
  if (request.extra.entries != 0) answer_claims(*id, request, asker.fresh, reply);
  sightings_.answer(*id, request, reply);
}

// An echoed claim means "done", not "heard". Most drivers have moved the prefixes before the answer
// goes out. For other drivers, and for claims that wait (homing/claim_flow.h), a later answer
// echoes the claim.
void Probes::answer_claims(const GatewayId& from, const tunnel::Probe& request, bool fresh,
                           tunnel::Probe& reply) {
  tunnels_.change_claims(claims_.from_remote(from, {fresh, base_.deps.loop.now()}, request, reply));
  auto claims = homing::claims_of(reply);
  std::erase_if(claims, [&](const auto& one) {
    return !tunnels_.applied() || !tunnels_.placed({from.cluster, one.key.share});
  });
  homing::put_claims(claims, reply);
}

void Probes::answer_node(const tunnel::Probe& request, const tunnel::ProbeAsker& asker,
                         tunnel::Probe& reply) {
  answer(reply);
  const auto* node = std::get_if<tunnel::NodeName>(&asker.party);
  if (node == nullptr) return;
  news_for_.merge(claims_.from_node(node->name, {asker.fresh, base_.deps.loop.now()}, request,
                                    tunnels_.verdicts().working, reply));
  // Many nodes claim at once when a gateway is lost. Claims that came together go out together.
  if (news_for_.empty() || sending_.active()) return;
  sending_ = base_.deps.loop.after(Duration::zero(), [this] { send_news(); });
}

void Probes::send_news() {
  sending_.reset();
  for (const auto& id : std::exchange(news_for_, {})) {
    for (int n = 0; n < kNewsProbes && claims_.has_news(id, base_.deps.loop.now()); ++n) {
      if (tunnel_.prober != nullptr) tunnel_.prober->ask_now(id);
    }
  }
}

}  // namespace cw::gateway
