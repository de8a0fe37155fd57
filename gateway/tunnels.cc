#include "gateway/tunnels.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>

#include "base/log.h"

namespace cw::gateway {

Tunnels::Tunnels(Loop& loop, tunnel::Driver& driver, Metrics& metrics, const TunnelsConfig& config,
                 TunnelEvents on, Background background)
    : loop_(loop),
      driver_(driver),
      moved_(metrics.counter("causeway_prefix_moves_total",
                             "Remote prefixes that changed their remote gateway.")),
      config_(config),
      on_(std::move(on)),
      jobs_(loop, driver, std::move(background), job_hooks()),
      peers_(loop, metrics, config.private_key.public_key(), config.keepalive,
             {clusters_, verdicts_, device_.status}, on_, jobs_) {}

tunnel::DeviceJobHooks Tunnels::job_hooks() {
  return {[this] {
            table_.begin_apply();
            return spec();
          },
          [this](Result<tunnel::DeviceStatus> read) { receive_device(std::move(read)); },
          [this](const Result<>& done) { receive_applied(done); },
          [this](const tunnel::PeerMoves& moves, const Result<>& done) {
            if (done) table_.record_moved(moves);  // else the next apply does it, or reports it
          },
          [this](const Result<>& done, const std::string& what) { record(done, what); }};
}

void Tunnels::set_clusters(PlacementTable::Clusters clusters) {
  if (device_.applied && clusters == clusters_) return;
  clusters_ = std::move(clusters);
  const auto ids = gateways();
  drain_words_.keep_only(ids);
  verdicts_ = homing::verdicts_of(ids, std::move(verdicts_.views));
  table_.receive_clusters();
  peers_.set_gateways(ids);
  if (!table_.adopted()) return jobs_.read();
  place();
}

std::set<GatewayId> Tunnels::gateways() const {
  std::set<GatewayId> ids;
  each_gateway(clusters_, [&](const GatewayId& id, const RemoteGateway&) { ids.insert(id); });
  return ids;
}

void Tunnels::place() {
  table_.place();
  (void)peers_.choose_endpoints();
  jobs_.apply();
}

void Tunnels::set_views(Views views) {
  const auto before = std::move(verdicts_.working);
  for (auto& [id, view] : views) view.draining = drain_words_.take(id, view.draining, loop_.now());
  verdicts_ = homing::verdicts_of(gateways(), std::move(views));
  const auto say = [](const auto& from, const auto& to, const char* what) {
    for (const auto& id : to) {
      if (from.count(id) == 0) log_info(what, {{"cluster", id.cluster}, {"gateway", id.ordinal}});
    }
  };
  say(before, verdicts_.working, "tunnel works");
  say(verdicts_.working, before, "tunnel lost");
  carry_out(table_.move());
}

void Tunnels::set_claims(const ClaimFlow::Claimed& all) {
  table_.set_claims(all, loop_.now());
  await_claims();
  carry_out(table_.move());
}

void Tunnels::change_claims(const ClaimFlow::Claimed& changed) {
  carry_out(table_.receive_claims(changed, loop_.now()));
  await_claims();
}

void Tunnels::await_claims() {
  if (claim_timer_.active()) return;
  const auto now = loop_.now();
  const auto next = table_.next_claims(now);
  if (!next) return;
  claim_timer_ = loop_.after(*next - now, [this] {
    claim_timer_.reset();
    carry_out(table_.release_claims(loop_.now()));
    await_claims();
  });
}

void Tunnels::carry_out(const std::optional<PlacementTable::Change>& change) {
  if (!change) return;
  tunnel::PeerMoves peer_moves{change->number, {}};
  for (const auto& [owner, prefixes] : homing::moves(change->before, change->after)) {
    const auto& gateway = clusters_.at(owner.cluster).gateways.at(owner.ordinal);
    moved_.add(static_cast<double>(prefixes.size()));
    move_log_.add(owner, prefixes.size());
    peer_moves.to.emplace_back(gateway.key, prefixes);
  }
  write_moves();
  if (device_.applied && !peer_moves.to.empty()) jobs_.move(std::move(peer_moves));
  jobs_.apply();
  if (on_.moved) {
    on_.moved(
        homing::explained_moves(change->before, change->after, table_.placed_by(), table_.homes()));
  }
}

void Tunnels::write_moves() {
  for (const auto& line : move_log_.lines(loop_.now())) {
    log_info("prefixes move", {{"cluster", line.cluster},
                               {"to", fmt::format("{}", fmt::join(line.to, ","))},
                               {"count", line.count}});
  }
}

tunnel::DeviceSpec Tunnels::spec() const {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(config_.keepalive).count();
  auto spec =
      desired_device({config_.private_key, config_.listen_port, static_cast<std::uint16_t>(seconds),
                      clusters_, placement(), peers_.endpoints()});
  spec.moves = driver_.moves();
  return spec;
}

void Tunnels::reconcile() {
  write_moves();
  if (device_.tried && jobs_.hangs() && device_.error.empty()) {
    record(fail(Errc::kUnavailable, fmt::format("driver {} does not answer", driver_.name())),
           "tunnel device");
  }
  jobs_.read();
}

void Tunnels::receive_device(Result<tunnel::DeviceStatus> read) {
  if (!table_.adopted()) {
    if (!read && read.error().code == Errc::kUnavailable) {
      // A device exists, and its placement is unknown. The next look reads again.
      device_.tried = true;
      return record(fail(read.error()), "read tunnel device");
    }
    table_.adopt(read ? *read : tunnel::DeviceStatus{});
    return place();
  }
  if (!read) {
    if (device_.error.empty()) record(fail(read.error()), "read tunnel device");
    return jobs_.apply();
  }
  device_.status = std::move(*read);
  const bool other_endpoints = peers_.choose_endpoints();
  if (other_endpoints || !device_.error.empty() || !matches(device_.status, spec())) jobs_.apply();
  peers_.reconcile();
}

void Tunnels::receive_applied(const Result<>& done) {
  // A move came after the spec was computed. The move stands.
  if (!done && done.error().code == Errc::kConflict) return jobs_.apply();
  const bool news = !device_.tried || (done && !device_.applied);
  device_.tried = true;
  if (done) {
    device_.applied = true;
    table_.end_apply();
  }
  record(done, "tunnel device");
  if (news && on_.changed) on_.changed();
}

void Tunnels::record(const Result<>& done, const std::string& what) {
  const auto text = done ? std::string() : done.error().context(what).text;
  if (text == device_.error) return;
  if (text.empty()) {
    log_info("tunnel device in order again");
  } else {
    log_warn("tunnel device not in order, trying again", {{"error", text}});
  }
  device_.error = text;
  if (on_.changed) on_.changed();
}

}  // namespace cw::gateway
