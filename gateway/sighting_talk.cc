#include "gateway/sighting_talk.h"

#include <algorithm>
#include <utility>

#include "homing/probe_claims.h"

namespace cw::gateway {

SightingTalk::SightingTalk(Loop& loop, const Identity& identity, const Tunnels& tunnels,
                           std::function<void()> on_news)
    : loop_(loop),
      identity_(identity),
      tunnels_(tunnels),
      on_news_(std::move(on_news)),
      self_(sighting_id(identity.public_key)) {}

void SightingTalk::reconcile() {
  remotes_.clear();
  ids_.clear();
  each_gateway(tunnels_.clusters(), [&](const GatewayId& id, const RemoteGateway& gateway) {
    const auto sighting = sighting_id(gateway.key);
    remotes_.emplace(sighting, Remote{id, gateway.key});
    ids_.emplace(id, sighting);
  });
}

void SightingTalk::read_sibling(const api::TunnelGateway& sibling) {
  const GatewayId reporter{identity_.self.cluster, sibling.spec.ordinal};
  for (const auto& tunnel : sibling.status.tunnels) {
    if (tunnel.state != "up" && tunnel.state != "degraded") continue;
    const auto id = ids_.find({tunnel.cluster, tunnel.ordinal});
    const auto at = Endpoint::parse(tunnel.endpoint);
    if (id != ids_.end() && at) take(reporter, id->second, *at);
  }
}

void SightingTalk::tick() {
  if (sightings_.forget_old(loop_.now())) on_news_();
}

void SightingTalk::fill(const GatewayId& target, tunnel::Probe& request) {
  const auto& working = tunnels_.verdicts().working;
  std::vector<SightingId> sought;
  for (const auto& [id, remote] : remotes_) {
    if (remote.id != target && working.count(remote.id) == 0) sought.push_back(id);
  }
  if (sought.empty()) return;
  // More than fit one request take turns.
  auto first = std::lower_bound(sought.begin(), sought.end(), turn_);
  if (sought.size() <= kMaxSought || first == sought.end()) first = sought.begin();
  std::rotate(sought.begin(), first, sought.end());
  if (sought.size() > kMaxSought) turn_ = sought[kMaxSought];
  homing::append_extensions(extensions_of({std::move(sought), {}}), request);
}

const Endpoint* SightingTalk::seen_at(SightingId id) const {
  const auto remote = remotes_.find(id);
  if (remote == remotes_.end()) return nullptr;
  const auto& peers = tunnels_.device().peers;
  const auto peer = peers.find(remote->second.key);
  if (peer == peers.end() || !peer->second.endpoint) return nullptr;
  // Without a session the endpoint is only one that this gateway tries.
  const auto& status = peer->second;
  return loop_.wall_now() - status.last_handshake < kSessionLife ? &*status.endpoint : nullptr;
}

void SightingTalk::answer(const GatewayId& asker, const tunnel::Probe& request,
                          tunnel::Probe& reply) const {
  auto wanted = sighting_words(homing::extensions_behind(request)).sought;
  if (const auto id = ids_.find(asker); id != ids_.end()) wanted.insert(wanted.begin(), id->second);
  SightingWords words;
  for (const auto id : wanted) {
    if (const auto* at = seen_at(id)) words.seen.emplace_back(id, *at);
  }
  homing::append_extensions(extensions_of(words), reply);
}

void SightingTalk::hear(const GatewayId& from, const tunnel::Probe& reply) {
  for (const auto& [id, at] : sighting_words(homing::extensions_behind(reply)).seen) {
    if (id == self_ || remotes_.count(id) != 0) take(from, id, at);
  }
}

void SightingTalk::take(const GatewayId& reporter, SightingId id, const Endpoint& at) {
  if (sightings_.hear(reporter, id, at, loop_.now())) on_news_();
}

std::vector<api::ObservedEndpoint> SightingTalk::observed() const {
  const auto told = sightings_.told_about(self_);
  std::vector<api::ObservedEndpoint> all;
  all.reserve(told.size());
  for (const auto& [reporter, at] : told) {
    all.push_back({to_string(reporter), at});
  }
  return all;
}

}  // namespace cw::gateway
