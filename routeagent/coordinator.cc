#include "routeagent/coordinator.h"

#include <utility>

#include "base/log.h"

namespace cw::routeagent {

namespace {

// What this node publishes.
api::RouteAgent::Spec published(const Deps& deps) {
  const auto& config = deps.config;
  const bool encrypted = config.overlay == OverlayMode::kWireguard;
  return {config.node, deps.node_key.public_key().base64(),
          api::RouteAgent::Overlay{to_string(kOverlayVersion), to_string(config.overlay),
                                   encrypted ? config.hop_port : std::uint16_t{0}}};
}

}  // namespace

Coordinator::Coordinator(Deps deps)
    : deps_(std::move(deps)),
      next_pass_(deps_.loop, [this] { start_pass(); }),
      closed_(
          deps_.loop, deps_.random, deps_.slow(), deps_.background, deps_.metrics,
          std::move(deps_.closed), [this] { next_pass_.poke(); }, deps_.config.rules),
      report_(deps_, published(deps_)),
      troubles_(deps_, {[this] { on_verdict(); }, [this] { next_pass_.poke(); }}),
      surroundings_(deps_, [this] { next_pass_.poke(); }),
      host_(deps_, {[this] {
                      closed_.check_soon();
                      next_pass_.poke();
                    },
                    [this] {
                      pass();
                      if (host_.dirty()) next_pass_.poke();
                    }}),
      view_(deps_,
            [this] {
              watch_overlay();
              next_pass_.poke();
            }),
      overlay_(deps_, card_of(published(deps_)), [this] { next_pass_.poke(); }),
      hop_(deps_.loop, deps_.config.overlay == OverlayMode::kWireguard ? deps_.open_hop : nullptr,
           deps_.node_key, deps_.config.hop_port, deps_.hop_background,
           [this] {
             host_.invalidate();
             next_pass_.run_after(Duration::zero());
           }),
      homing_(deps_, troubles_,
              {[this] { on_verdict(); }, [this](const auto& note) { report_.add(note); }}),
      passes_(deps_, {[this](const auto& state, const auto& report, bool newest) {
                        end_pass(state, report, newest);
                      },
                      [this] {
                        host_.invalidate();
                        next_pass_.poke();
                      }}) {}

void Coordinator::start_pass() {
  // While a job reads the host, a pass uses the last known state of it.
  if (!host_.refresh() && host_.known()) pass();
}

void Coordinator::pass() {
  next_pass_.begun();
  view_.record_cluster();
  Seen seen;
  const auto known = view_.add_to(seen);
  auto host = host_.facts(seen.self);
  if (host) view_.teach(closed_, *host);  // before any route is made
  if (!known) {
    if (waiting_ != known.error().text) log_info(known.error().text);
    waiting_ = known.error().text;
    return;
  }
  waiting_.clear();
  if (!host) return passes_.record({host.error().text}, {});
  seen.host = std::move(*host);
  if (auto agreed = overlay_.add_to(seen, view_.overlay_secret().get()); !agreed) {
    waiting_ = std::move(agreed.error().text);
    return;
  }
  hop_.reconcile(seen);
  if (hop_.making()) {  // a pass would find no device; on_change starts the next one
    waiting_ = "the node tunnel is being made";
    return;
  }
  // Without the overlay key the desired state of cw-vx is unknown: a device of an earlier run
  // stays.
  if (!seen.overlay && seen.host.vxlan_index != 0) return publish(seen, {});
  troubles_.watch_stray(seen, homing_.probes().views());
  troubles_.check_host(seen);
  surroundings_.check(view_.own_node().get(), seen);
  homing_.probe(seen);
  seen_ = std::move(seen);
  watch_overlay();
  passes_.start(desired_state(*seen_, homing_.decide(*seen_)));
  homing_.spread();
  publish(*seen_, homing_.decision());
}

void Coordinator::end_pass(const NodeState& state, const NodeReport& report, bool newest) {
  if (newest) closed_.let_go();  // the routes of unpaired clusters are gone
  overlay_.record_left_out(state.left_out);
  report_.add_repairs(report.restored);
  report_.add_repairs(closed_.take_restored());
  auto problems = state.problems;
  problems.insert(problems.end(), report.complaints.begin(), report.complaints.end());
  const auto open = closed_.troubles();
  problems.insert(problems.end(), open.begin(), open.end());
  passes_.record(report.errors, problems);
  if (!newest) next_pass_.poke();
  publish(*seen_, homing_.decision());
}

void Coordinator::on_verdict() {
  if (!seen_) return next_pass_.poke();
  if (on_reach_) on_reach_();
  const auto before = homing_.decision();
  if (const auto& next = homing_.decide(*seen_); next != before) {
    if (before.decided) passes_.change_nexthops(desired_nexthops(*seen_, next));
    homing_.spread();  // after the switch: packets are held before the old carrier hears of it
    // A pass does the rest: routes that become unreachable or come back. It may replace the prober,
    // so it must not run here, in the prober's callback.
    return next_pass_.run_after(Duration::zero());
  }
  homing_.spread();
  publish(*seen_, homing_.decision());
}

// A gateway node is one by its own device, too, so this depends on the last pass.
void Coordinator::watch_overlay() {
  if (auto nodes = view_.gateway_nodes()) {
    overlay_.watch(std::move(*nodes), seen_ && is_gateway_node(*seen_));
  }
}

std::optional<std::map<std::string, bool>> Coordinator::reach() {
  return seen_ ? homing_.reach(*seen_) : std::nullopt;
}

void Coordinator::publish(const Seen& seen, const Decision& decision) {
  report_.publish(seen, decision,
                  {homing_.probes().views(), passes_.routes(), passes_.errors(),
                   troubles_.silences(), overlay_.left_out(), closed_.clusters(), not_ready(),
                   troubles_.hostless(), surroundings_.obstacles(), surroundings_.doubts()});
}

std::vector<std::string> Coordinator::not_ready() const {
  std::vector<std::string> reasons;
  for (const auto& reason : {waiting_, view_.trouble(), report_.trouble(), overlay_.trouble(),
                             hop_.trouble(), homing_.probes().trouble()}) {
    if (!reason.empty()) reasons.push_back(reason);
  }
  if (waiting_.empty() && !passes_.ended_once()) {
    reasons.emplace_back("the kernel is being programmed");
  }
  if (waiting_.empty() && !homing_.decision().decided) {
    reasons.emplace_back("gateways have not been probed yet");
  }
  reasons.insert(reasons.end(), passes_.errors().begin(), passes_.errors().end());
  for (const auto& silence : troubles_.silences()) {
    if (silence.certain) reasons.push_back(silence.text);
  }
  return reasons;
}

}  // namespace cw::routeagent
