#include "routeagent/homing.h"

#include <utility>

#include "base/log.h"
#include "homing/following.h"
#include "homing/handover.h"
#include "routeagent/switches.h"

namespace cw::routeagent {

namespace {

// How often the old carrier is probed during a handover. Packets are held until it confirms.
constexpr Duration kHandoverPace = std::chrono::milliseconds(10);

const char* name_of(Family family) { return family == Family::kV4 ? "IPv4" : "IPv6"; }

}  // namespace

Homing::Homing(const Deps& deps, Troubles& troubles, Hooks hooks)
    : loop_(deps.loop),
      troubles_(troubles),
      hooks_(std::move(hooks)),
      switches_(deps.metrics.counter("causeway_routeagent_switches_total",
                                     "Remote clusters that changed their gateway.")),
      unconfirmed_(deps.metrics.counter("causeway_routeagent_handovers_unconfirmed_total",
                                        "Handovers that ended without a confirmation.")),
      chooser_(deps.config.hold_down),
      changeover_(std::make_unique<homing::Handovers>()),
      probes_(deps, prober_hooks()),
      forwarding_(deps.open_forwarding, deps.metrics, hooks_.on_verdict) {}

tunnel::ProberHooks Homing::prober_hooks() {
  tunnel::ProberHooks hooks;
  hooks.on_change = [this](const GatewayId&) { hooks_.on_verdict(); };
  hooks.ask = [this](const GatewayId& target, tunnel::Probe& request) {
    changeover_->fill(target.ordinal, request);
  };
  hooks.on_reply = [this](const GatewayId& target, const tunnel::Probe& reply) {
    receive(target.ordinal, reply);
  };
  hooks.on_stranger = [this](const GatewayId& target) { changeover_->forget(target.ordinal); };
  return hooks;
}

void Homing::probe(const Seen& seen) {
  if (seen.overlay && seen.host.vxlan_index != 0) forwarding_.reconcile(seen);
  probes_.reconcile(seen);
}

std::vector<GatewayInput> Homing::gateways(const Seen& seen) {
  auto inputs = probes_.inputs(seen);
  for (auto& input : inputs) forwarding_.add_to(input);
  return inputs;
}

const Decision& Homing::decide(const Seen& seen) {
  const auto now = loop_.now();
  if (probes_.conclusive(seen)) {
    choose(seen, now);
    decision_.decided = true;
  }
  changeover_->tick(now);  // in any case: no packet is held for longer than the patience
  decision_.choices = carriers_;
  decision_.held = changeover_->held();
  set_path_mtu(forwarding_.path_mtu());
  return decision_;
}

void Homing::choose(const Seen& seen, TimePoint now) {
  if (seen.self.whole != whole_) {
    whole_ = seen.self.whole;
    if (whole_) {
      changeover_ = std::make_unique<homing::Following>();
    } else {
      changeover_ = std::make_unique<homing::Handovers>();
    }
  }
  ChooseInput input{{seen.cluster, whole_ ? std::string() : seen.self.name},
                    homing::families_of(seen.self.pod_cidrs),
                    {},
                    gateways(seen)};
  for (const auto& remote : seen.remotes) input.remotes.insert(remote.id);
  (void)chooser_.update(input, now, loop_.wall_now());
  troubles_.watch_silence(input);
  std::optional<std::uint32_t> self;
  for (const auto& gateway : seen.gateways) {
    if (gateway.node == seen.self.name) self = gateway.ordinal;
  }
  changeover_->want({chooser_.choices(), input, self}, now);
  show(input.gateways);
  if (const auto end = chooser_.next_end(now)) {
    hold_timer_ = loop_.after(*end - now, [this] { hooks_.on_verdict(); });
  }
}

void Homing::show(const std::vector<GatewayInput>& gateways) {
  const auto before =
      std::exchange(carriers_, changeover_->carriers(chooser_.choices(), loop_.wall_now()));
  for (const auto& [key, choice] : carriers_) {
    const auto old = before.find(key);
    if (old != before.end() && old->second.ordinal == choice.ordinal) continue;
    if (old != before.end()) switches_.add();
    log_info("gateway chosen",
             {{"cluster", key.cluster},
              {"family", name_of(key.family)},
              {"gateway", choice.ordinal ? std::to_string(*choice.ordinal) : "none"},
              {"reason", choice.reason}});
  }
  for (const auto& note : switch_notes(before, carriers_, gateways)) hooks_.on_switch(note);
}

void Homing::set_path_mtu(std::map<ChoiceKey, std::uint32_t> path_mtu) {
  if (path_mtu == decision_.path_mtu) return;
  for (const auto& [key, mtu] : path_mtu) {
    log_warn("packets above the path MTU are lost on the way: their routes get this MTU",
             {{"cluster", key.cluster}, {"family", name_of(key.family)}, {"path_mtu", mtu}});
  }
  if (path_mtu.empty()) log_info("packets of full size pass again");
  decision_.path_mtu = std::move(path_mtu);
}

void Homing::receive(std::uint32_t ordinal, const tunnel::Probe& reply) {
  const bool held = !changeover_->held().empty();
  changeover_->hear(ordinal, reply, loop_.now());
  const bool moves = changeover_->carriers(chooser_.choices(), loop_.wall_now()) != carriers_;
  if (held || moves || changeover_->held() != decision_.held) return hooks_.on_verdict();
  spread();
}

void Homing::spread() {
  for (const auto ordinal : changeover_->take_urgent()) probes_.ask_now(ordinal);
  if (changeover_->handed_over_from().empty()) {
    handover_timer_.reset();
  } else if (!handover_timer_.active()) {
    handover_timer_ = loop_.every(kHandoverPace, [this] { pace_handover(); });
  }
}

void Homing::pace_handover() {
  const auto before = changeover_->unconfirmed();
  changeover_->tick(loop_.now());
  if (const auto count = changeover_->unconfirmed() - before; count != 0) {
    log_warn("handover ended without confirmation: packets may be lost for a moment",
             {{"count", count}});
    unconfirmed_.add(static_cast<double>(count));
  }
  if (changeover_->held() != decision_.held) return hooks_.on_verdict();
  for (const auto from : changeover_->handed_over_from()) probes_.ask_now(from);
}

std::optional<std::map<std::string, bool>> Homing::reach(const Seen& seen) {
  if (!probes_.conclusive(seen)) return std::nullopt;
  std::map<std::string, bool> reached;
  for (const auto& remote : seen.remotes) reached[remote.id] = false;
  for (const auto& gateway : gateways(seen)) {
    // One in its hold-down counts: it carries if no other gateway does.
    if (!gateway.usable) continue;
    for (const auto& cluster : gateway.reaches) {
      if (const auto at = reached.find(cluster); at != reached.end()) at->second = true;
    }
  }
  return reached;
}

}  // namespace cw::routeagent
