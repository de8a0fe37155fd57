#include "gateway/tunnels.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "gateway/peers/no_answer.h"

namespace cw::gateway {
namespace {

void say_moved(const homing::MoveLog::Line& line) {
  log_info("prefixes move", {{"cluster", line.cluster},
                             {"to", fmt::format("{}", fmt::join(line.to, ","))},
                             {"count", line.count}});
}

}  // namespace

Tunnels::Tunnels(Loop& loop, tunnel::Driver& driver, Metrics& metrics, const TunnelsConfig& config,
                 TunnelEvents tell, Background background)
    : loop_(loop),
      driver_(driver),
      moved_(metrics.counter("causeway_prefix_moves_total",
                             "Remote prefixes that changed their remote gateway.")),
      config_(config),
      on_(std::move(tell)),
      // The remote kernel sends keepalives while its gateway restarts.
      trials_(3 * config.keepalive),
      stuck_(std::max<Duration>(3 * config.keepalive, std::chrono::seconds(15))),
      metrics_(metrics),
      jobs_(loop, driver, std::move(background), job_hooks()) {}

tunnel::DeviceJobHooks Tunnels::job_hooks() {
  return {[this] {
            applying_ = placements_;
            return spec();
          },
          [this](Result<tunnel::DeviceStatus> read) { on_read(std::move(read)); },
          [this](const Result<>& done) { on_applied(done); },
          [this](const tunnel::PeerMoves& moves, const Result<>& done) { on_moved(moves, done); },
          [this](const Result<>& done, const std::string& what) { note(done, what); }};
}

std::map<GatewayId, bool> Tunnels::works() const {
  std::map<GatewayId, bool> works;
  for (const auto& [cluster, remote] : clusters_) {
    for (const auto& [ordinal, gateway] : remote.gateways) {
      const GatewayId id{cluster, ordinal};
      const auto view = views_.find(id);
      works[id] = view != views_.end() && view->second.usable;
    }
  }
  return works;
}

// Computed once per change, because every probe of every node asks for the results.
void Tunnels::judge() {
  working_.clear();
  reached_.clear();
  for (const auto& [id, good] : works()) {
    if (!good) continue;
    working_.insert(id);
    reached_.insert(id.cluster);
  }
  degraded_ = reached_;
  for (const auto& id : working_) {
    const auto view = views_.find(id);
    if (view->second.state != tunnel::LinkState::kDegraded) degraded_.erase(id.cluster);
  }
}

Standings Tunnels::standings() const {
  Standings standings;
  for (const auto& [id, working] : works()) {
    if (working) standings.working.insert(id);
    const auto view = views_.find(id);
    if (view == views_.end()) continue;
    if (view->second.draining) standings.draining.insert(id);
  }
  standings.claimed = claims_.counted();
  return standings;
}

// After a restart the device may have outlived us. Its allowed IPs tell which gateway carried what
// before.
void Tunnels::adopt(const tunnel::DeviceStatus& device) {
  for (const auto& [cluster, remote] : clusters_) {
    for (const auto& [ordinal, gateway] : remote.gateways) {
      const auto peer = device.peers.find(gateway.key);
      if (peer == device.peers.end()) continue;
      for (const auto& prefix : peer->second.allowed_ips) {
        placement_.emplace(prefix, GatewayId{cluster, ordinal});
      }
    }
  }
}

void Tunnels::set_clusters(std::map<std::string, RemoteCluster> clusters) {
  if (applied_ && clusters == clusters_) return;
  clusters_ = std::move(clusters);
  homes_ = homes_of(clusters_);
  claims_.set_clusters(clusters_);
  placed_by_.reset();
  judge();
  std::set<GatewayId> ids;
  for (const auto& [id, good] : works()) ids.insert(id);
  trials_.keep_only(ids);
  stuck_.keep_only(ids);
  rivals_.keep_only(ids);
  std::erase_if(rivals_told_, [&](const GatewayId& id) { return ids.count(id) == 0; });
  std::erase_if(first_tries_, [&](const auto& entry) { return ids.count(entry.first) == 0; });
  std::erase_if(no_answer_told_, [&](const GatewayId& id) { return ids.count(id) == 0; });
  drain_words_.keep_only(ids);
  std::erase_if(endpoints_, [&](const auto& entry) { return ids.count(entry.first) == 0; });
  if (!adopted_) return jobs_.read();
  place_all();
}

void Tunnels::place_all() {
  place(placement_of(clusters_, homes_, standings(), placement_));
  pick_endpoints();
  jobs_.apply();
}

void Tunnels::place(Placement next) {
  if (next == placement_) return;
  ++placements_;
  for (const auto& [prefix, owner] : next) {
    const auto before = placement_.find(prefix);
    if (before == placement_.end() || before->second != owner) unplaced_[prefix] = placements_;
  }
  std::erase_if(unplaced_, [&](const auto& one) { return next.count(one.first) == 0; });
  placement_ = std::move(next);
}

void Tunnels::set_views(Views views) {
  const auto before = std::exchange(working_, {});
  views_ = std::move(views);
  for (auto& [id, view] : views_) {
    view.draining = drain_words_.take(id, view.draining, loop_.now());
  }
  judge();
  const auto say = [](const auto& from, const auto& to, const char* what) {
    for (const auto& id : to) {
      if (from.count(id) == 0) log_info(what, {{"cluster", id.cluster}, {"gateway", id.ordinal}});
    }
  };
  say(before, working_, "tunnel works");
  say(working_, before, "tunnel lost");
  move();
}

void Tunnels::set_claims(const ClaimFlow::Claimed& all) {
  claims_.set(all, loop_.now());
  await_claims();
  move();
}

void Tunnels::change_claims(const ClaimFlow::Claimed& changed) {
  move(claims_.take(changed, loop_.now()));
  await_claims();
}

void Tunnels::await_claims() {
  if (claim_timer_.active()) return;
  const auto now = loop_.now();
  const auto next = claims_.next(now);
  if (!next) return;
  claim_timer_ = loop_.after(*next - now, [this] {
    claim_timer_.reset();
    move(claims_.release(loop_.now()));
    await_claims();
  });
}

void Tunnels::move() {
  if (!adopted_) return;
  // Runs with each change of a probe's result, and placing thousands of prefixes takes
  // milliseconds. So it stops early if the input is the same.
  const auto now = standings();
  if (placed_by_ == now) return;
  placed_by_ = now;
  auto next = placement_of(clusters_, homes_, now, placement_);
  if (next == placement_) return;
  const auto before = placement_;
  place(std::move(next));
  carry_out(before, placement_);
}

// A peer decides how often this runs, so it looks at no other prefix.
void Tunnels::move(const ClaimFlow::Claimed& claims) {
  if (!adopted_ || claims.empty()) return;
  if (!placed_by_) return move();
  Placement before;
  Placement after;
  for (const auto& [prefix, claimed] : claims) {
    placed_by_->claimed[prefix] = claimed;
    const auto at = placement_.find(prefix);
    if (at == placement_.end() || at->second.cluster != claimed.cluster) continue;
    const auto owner =
        owner_of(claimed.cluster, prefix, homes_.at(claimed.cluster), *placed_by_, &at->second);
    if (!owner || *owner == at->second) continue;
    before.emplace(prefix, at->second);
    after.emplace(prefix, *owner);
  }
  if (after.empty()) return;
  ++placements_;
  for (const auto& [prefix, owner] : after) {
    placement_[prefix] = owner;
    unplaced_[prefix] = placements_;
  }
  carry_out(before, after);
}

void Tunnels::carry_out(const Placement& before, const Placement& after) {
  tunnel::PeerMoves peer_moves{placements_, {}};
  for (const auto& [owner, prefixes] : homing::moves(before, after)) {
    const auto& gateway = clusters_.at(owner.cluster).gateways.at(owner.ordinal);
    moved_.add(static_cast<double>(prefixes.size()));
    move_log_.add(owner, prefixes.size());
    peer_moves.to.emplace_back(gateway.key, prefixes);
  }
  for (const auto& line : move_log_.lines(loop_.now())) say_moved(line);
  if (applied_ && !peer_moves.to.empty()) jobs_.move(std::move(peer_moves));
  jobs_.apply();
  if (on_.moved) on_.moved(explained_moves(before, after, *placed_by_));
}

void Tunnels::pick_endpoints() {
  const auto now = loop_.now();
  const auto all = works();
  for (const auto& [cluster, remote] : clusters_) {
    for (const auto& [ordinal, gateway] : remote.gateways) {
      const GatewayId id{cluster, ordinal};
      first_tries_.try_emplace(id, loop_.wall_now());
      PeerSigns signs{all.at(id), {}, 0, false};
      if (const auto peer = device_.peers.find(gateway.key); peer != device_.peers.end()) {
        signs.last_handshake = peer->second.last_handshake;
        signs.rx_bytes = peer->second.rx_bytes;
        signs.session = loop_.wall_now() - signs.last_handshake < kSessionLife;
      }
      const auto pick = trials_.pick(id, gateway.candidates, signs, now);
      if (pick.endpoint) {
        endpoints_[id] = *pick.endpoint;
      } else {
        endpoints_.erase(id);
      }
      if (pick.nudge) nudges_.insert(gateway.key);
    }
  }
}

tunnel::DeviceSpec Tunnels::spec() const {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(config_.keepalive).count();
  auto spec =
      desired_device({config_.private_key, config_.listen_port, static_cast<std::uint16_t>(seconds),
                      clusters_, placement_, endpoints_});
  spec.moves = driver_.moves();
  return spec;
}

void Tunnels::look() {
  for (const auto& line : move_log_.lines(loop_.now())) say_moved(line);
  if (tried_ && jobs_.hangs() && error_.empty()) {
    note(fail(Errc::kUnavailable, fmt::format("driver {} does not answer", driver_.name())),
         "tunnel device");
  }
  jobs_.read();
}

void Tunnels::on_read(Result<tunnel::DeviceStatus> read) {
  if (!adopted_) {
    if (!read && read.error().code == Errc::kUnavailable) {
      // A device exists, and its placement is unknown. The next look reads again.
      tried_ = true;
      return note(fail(read.error()), "read tunnel device");
    }
    adopted_ = true;
    if (read) adopt(*read);
    return place_all();
  }
  if (!read) {
    if (error_.empty()) note(fail(read.error()), "read tunnel device");
    return jobs_.apply();
  }
  device_ = std::move(*read);
  const auto before = endpoints_;
  pick_endpoints();
  if (before != endpoints_ || !error_.empty() || !matches(device_, spec())) jobs_.apply();
  nudge();
  watch_rivals();
  watch_answers();
  free_stuck();
}

void Tunnels::on_moved(const tunnel::PeerMoves& moves, const Result<>& done) {
  if (!done) return;  // the next apply does it, or reports the error
  for (const auto& [peer, prefixes] : moves.to) {
    for (const auto& prefix : prefixes) {
      const auto at = unplaced_.find(prefix);
      if (at != unplaced_.end() && at->second == moves.number) unplaced_.erase(at);
    }
  }
}

std::string Tunnels::rival(const GatewayId& id) const {
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

void Tunnels::watch_rivals() {
  std::size_t count = 0;
  for (const auto& [cluster, remote] : clusters_) {
    for (const auto& [ordinal, gateway] : remote.gateways) {
      const GatewayId id{cluster, ordinal};
      const auto peer = device_.peers.find(gateway.key);
      if (peer == device_.peers.end()) continue;
      const auto ours = endpoints_.find(id);
      rivals_.look(id, peer->second.endpoint, peer->second.rx_bytes,
                   ours == endpoints_.end() ? std::nullopt : std::optional(ours->second),
                   loop_.now());
      const auto sentence = rival(id);
      if (sentence.empty()) {
        rivals_told_.erase(id);
        continue;
      }
      ++count;
      if (!rivals_told_.insert(id).second) continue;
      log_warn(sentence, {{"cluster", cluster}, {"gateway", ordinal}});
      if (on_.rival) on_.rival(id, sentence);
    }
  }
  metrics_
      .gauge("causeway_tunnel_key_rivals",
             "Remote gateways whose key two hosts use at the same time.")
      .set(static_cast<double>(count));
}

std::string Tunnels::no_answer(const GatewayId& id) const {
  const auto first = first_tries_.find(id);
  if (working_.count(id) != 0 || first == first_tries_.end()) return {};
  const auto& gateway = clusters_.at(id.cluster).gateways.at(id.ordinal);
  Attempts attempts{gateway.candidates, first->second, {}};
  if (const auto peer = device_.peers.find(gateway.key); peer != device_.peers.end()) {
    attempts.last_handshake = peer->second.last_handshake;
    if (attempts.endpoints.empty() && peer->second.endpoint) {
      attempts.endpoints.push_back(*peer->second.endpoint);
    }
  }
  return gateway::no_answer(attempts, loop_.wall_now());
}

void Tunnels::watch_answers() {
  for (const auto& [id, first] : first_tries_) {
    const auto sentence = no_answer(id);
    if (sentence.empty()) {
      no_answer_told_.erase(id);
    } else if (loop_.wall_now() - first >= kNoAnswerIsTold && no_answer_told_.insert(id).second) {
      log_warn("no tunnel",
               {{"cluster", id.cluster}, {"gateway", id.ordinal}, {"error", sentence}});
    }
  }
}

void Tunnels::free_stuck() {
  const auto count = [&](const char* remedy) {
    metrics_
        .counter("causeway_tunnel_stuck_total",
                 "Peers or devices made again because no data came in spite of handshakes.",
                 {{"remedy", remedy}})
        .add();
  };
  for (const auto& [cluster, remote] : clusters_) {
    for (const auto& [ordinal, gateway] : remote.gateways) {
      const auto peer = device_.peers.find(gateway.key);
      if (peer == device_.peers.end()) continue;
      const auto& status = peer->second;
      const auto remedy =
          stuck_.look({cluster, ordinal}, {status.last_handshake, status.rx_bytes, status.tx_bytes},
                      loop_.now());
      if (remedy == Remedy::kNone) continue;
      const bool device = remedy == Remedy::kDevice;
      log_warn("tunnel stuck: handshakes succeed, but no data arrives",
               {{"cluster", cluster}, {"gateway", ordinal}, {"again", device ? "device" : "peer"}});
      count(device ? "device" : "peer");
      if (on_.stuck) on_.stuck({cluster, ordinal}, remedy);
      if (device) return jobs_.remake();
      jobs_.recreate(gateway.key);
    }
  }
}

// If initiations cross again and again, only the side with the higher key starts again.
void Tunnels::nudge() {
  const auto own = config_.private_key.public_key();
  for (const auto& key : nudges_) {
    if (own < key) continue;
    log_debug("initiations cross, peer made again", {{"peer", key.base64()}});
    jobs_.recreate(key);
  }
  nudges_.clear();
}

void Tunnels::on_applied(const Result<>& done) {
  // A move came after the spec was computed. The move stands.
  if (!done && done.error().code == Errc::kConflict) return jobs_.apply();
  const bool news = !tried_ || (done && !applied_);
  tried_ = true;
  if (done) {
    applied_ = true;
    std::erase_if(unplaced_, [this](const auto& one) { return one.second <= applying_; });
  }
  note(done, "tunnel device");
  if (news && on_.changed) on_.changed();
}

void Tunnels::note(const Result<>& done, const std::string& what) {
  const auto text = done ? std::string() : done.error().context(what).text;
  if (text == error_) return;
  if (text.empty()) {
    log_info("tunnel device in order again");
  } else {
    log_warn("tunnel device not in order, trying again", {{"error", text}});
  }
  error_ = text;
  if (on_.changed) on_.changed();
}

}  // namespace cw::gateway
