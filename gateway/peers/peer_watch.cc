#include "gateway/peers/peer_watch.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "gateway/peers/no_answer.h"

namespace cw::gateway {

PeerWatch::PeerWatch(Loop& loop, Metrics& metrics, const tunnel::Key& own, Duration keepalive,
                     Sight sight, const TunnelEvents& on, tunnel::DeviceJobs& jobs)
    : loop_(loop),
      metrics_(metrics),
      own_(own),
      sight_(sight),
      on_(on),
      jobs_(jobs),
      // The remote kernel sends keepalives while its gateway restarts.
      trials_(3 * keepalive),
      stuck_(std::max<Duration>(3 * keepalive, std::chrono::seconds(15))) {}

void PeerWatch::set_gateways(const std::set<GatewayId>& ids) {
  trials_.keep_only(ids);
  stuck_.keep_only(ids);
  rivals_.keep_only(ids);
  std::erase_if(peers_, [&](const auto& entry) { return ids.count(entry.first) == 0; });
  std::erase_if(endpoints_, [&](const auto& entry) { return ids.count(entry.first) == 0; });
}

bool PeerWatch::choose_endpoints() {
  const auto before = endpoints_;
  each_gateway(sight_.clusters, [&](const GatewayId& id, const RemoteGateway& gateway) {
    peers_.try_emplace(id, Peer{loop_.wall_now()});
    PeerSigns signs{sight_.verdicts.working.count(id) != 0, {}, 0, false};
    const auto peer = sight_.device.peers.find(gateway.key);
    if (peer != sight_.device.peers.end()) {
      signs.last_handshake = peer->second.last_handshake;
      signs.rx_bytes = peer->second.rx_bytes;
      signs.session = loop_.wall_now() - signs.last_handshake < kSessionLife;
    }
    const auto pick = trials_.pick(id, gateway.candidates, signs, loop_.now());
    if (pick.endpoint) {
      endpoints_[id] = *pick.endpoint;
    } else {
      endpoints_.erase(id);
    }
    if (pick.nudge) nudges_.insert(gateway.key);
  });
  return before != endpoints_;
}

void PeerWatch::reconcile() {
  nudge();
  report_rivals();
  report_no_answers();
  free_stuck();
}

// If initiations cross again and again, only the side with the higher key starts again.
void PeerWatch::nudge() {
  for (const auto& key : std::exchange(nudges_, {})) {
    if (own_ < key) continue;
    log_debug("initiations cross, peer made again", {{"peer", key.base64()}});
    jobs_.recreate(key);
  }
}

std::string PeerWatch::rival(const GatewayId& id) const {
  const auto places = rivals_.rivals(id);
  if (places.empty()) return {};
  std::string where;
  for (const auto& place : places) {
    where += (where.empty() ? "" : " and ") + place.to_string();
  }
  return fmt::format(
      "two hosts use the key of {}: its packets come from {}{}. Stop the copy of that "
      "cluster (a restored backup), or remove the old tunnel device of that gateway",
      to_string(id), where, places.size() > 1 ? " in turn" : " and from elsewhere in turn");
}

void PeerWatch::report_rivals() {
  std::size_t count = 0;
  each_gateway(sight_.clusters, [&](const GatewayId& id, const RemoteGateway& gateway) {
    const auto peer = sight_.device.peers.find(gateway.key);
    if (peer == sight_.device.peers.end()) return;
    const auto ours = endpoints_.find(id);
    rivals_.record(id, peer->second.endpoint, peer->second.rx_bytes,
                   ours == endpoints_.end() ? std::nullopt : std::optional(ours->second),
                   loop_.now());
    const auto sentence = rival(id);
    const bool told = std::exchange(peers_[id].rival_told, !sentence.empty());
    if (sentence.empty()) return;
    ++count;
    if (told) return;
    log_warn(sentence, {{"cluster", id.cluster}, {"gateway", id.ordinal}});
    if (on_.rival) on_.rival(id, sentence);
  });
  metrics_
      .gauge("causeway_tunnel_key_rivals",
             "Remote gateways whose key two hosts use at the same time.")
      .set(static_cast<double>(count));
}

std::string PeerWatch::no_answer(const GatewayId& id) const {
  const auto known = peers_.find(id);
  if (sight_.verdicts.working.count(id) != 0 || known == peers_.end()) return {};
  const auto& gateway = sight_.clusters.at(id.cluster).gateways.at(id.ordinal);
  Attempts attempts{gateway.candidates, known->second.first_try, {}};
  const auto peer = sight_.device.peers.find(gateway.key);
  if (peer != sight_.device.peers.end()) {
    attempts.last_handshake = peer->second.last_handshake;
    if (attempts.endpoints.empty() && peer->second.endpoint) {
      attempts.endpoints.push_back(*peer->second.endpoint);
    }
  }
  return gateway::no_answer(attempts, loop_.wall_now());
}

void PeerWatch::report_no_answers() {
  for (auto& [id, peer] : peers_) {
    const auto sentence = no_answer(id);
    if (sentence.empty()) {
      peer.no_answer_told = false;
    } else if (loop_.wall_now() - peer.first_try >= kNoAnswerIsTold &&
               !std::exchange(peer.no_answer_told, true)) {
      log_warn("no tunnel",
               {{"cluster", id.cluster}, {"gateway", id.ordinal}, {"error", sentence}});
    }
  }
}

void PeerWatch::free_stuck() {
  bool remade = false;
  each_gateway(sight_.clusters, [&](const GatewayId& id, const RemoteGateway& gateway) {
    const auto peer = sight_.device.peers.find(gateway.key);
    if (remade || peer == sight_.device.peers.end()) return;
    const auto& status = peer->second;
    const auto remedy =
        stuck_.record(id, {status.last_handshake, status.rx_bytes, status.tx_bytes}, loop_.now());
    if (remedy == Remedy::kNone) return;
    remade = remedy == Remedy::kDevice;
    const std::string again = remade ? "device" : "peer";
    log_warn("tunnel stuck: handshakes succeed, but no data arrives",
             {{"cluster", id.cluster}, {"gateway", id.ordinal}, {"again", again}});
    metrics_
        .counter("causeway_tunnel_stuck_total",
                 "Peers or devices made again because no data came in spite of handshakes.",
                 {{"remedy", again}})
        .add();
    if (on_.stuck) on_.stuck(id, remedy);
    if (remade) {
      jobs_.remake();
    } else {
      jobs_.recreate(gateway.key);
    }
  });
}

}  // namespace cw::gateway
