#include "routeagent/troubles.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "routeagent/gateway_probes.h"
#include "routeagent/node/this_node.h"

namespace cw::routeagent {

namespace {

// Longer than a failover, so that a failover is not reported.
constexpr Duration kSilenceIsTold = std::chrono::seconds(5);
// A gateway that comes back to this node has updated its TunnelGateway object within this time.
constexpr Duration kStrayGoes = std::chrono::seconds(5);

}  // namespace

Troubles::Troubles(const Deps& deps, Hooks hooks)
    : loop_(deps.loop),
      hooks_(std::move(hooks)),
      host_unserved_(
          deps.metrics.gauge("causeway_routeagent_host_unserved",
                             "1 while the host has no address inside a prefix of its pods, so that "
                             "its own processes reach no remote pod.")) {}

void Troubles::watch_silence(const homing::ChooseInput& input) {
  const auto now = loop_.now();
  const auto silent = silent_everywhere(input);
  std::erase_if(silent_since_, [&](const auto& entry) { return silent.count(entry.first) == 0; });
  std::vector<homing::Silence> told;
  std::optional<Duration> next;
  for (const auto& [key, silence] : silent) {
    const auto since = silent_since_.emplace(key, now).first->second;
    const auto left = since + kSilenceIsTold - now;
    if (left <= Duration::zero()) {
      told.push_back(silence);
    } else if (!next || left < *next) {
      next = left;
    }
  }
  if (next) {
    silence_timer_ = loop_.after(*next, [this] { hooks_.check_silence(); });
  } else {
    silence_timer_.reset();
  }
  if (told == silences_) return;
  for (const auto& silence : told) {
    if (std::find(silences_.begin(), silences_.end(), silence) == silences_.end()) {
      log_warn("no gateway forwards", {{"error", silence.text}});
    }
  }
  if (told.empty()) log_info("gateways forward again");
  silences_ = std::move(told);
}

void Troubles::watch_stray(Seen& seen, const tunnel::ProbeViews& views) {
  const auto* moved = moved_gateway(seen);
  if (moved == nullptr) {
    stray_since_.reset();
    stray_timer_.reset();
    return;
  }
  const auto now = loop_.now();
  if (!stray_since_) stray_since_ = now;
  const auto left = *stray_since_ + kStrayGoes - now;
  if (left > Duration::zero()) {
    stray_timer_ = loop_.after(left, [this] { hooks_.check_stray(); });
    return;
  }
  // The TunnelGateway object may be old, and the gateway may be about to come back here. Only its
  // answer from the other node, which its key authenticates, proves that this device is left over.
  const auto view = views.find(gateway_target(moved->ordinal));
  if (view == views.end() || !view->second.usable) {
    stray_timer_ = loop_.after(kStrayGoes, [this] { hooks_.check_stray(); });
    return;
  }
  seen.stray_tunnel = true;
  log_warn("a gateway moved to another node and left its tunnel device here: removing the device",
           {{"gateway", moved->ordinal}, {"now_on", moved->node}});
}

std::string host_unserved(const std::string& prefixes, bool whole) {
  if (whole) {
    return fmt::format(
        "processes on the host network reach no remote pod: the host has no address inside {}, "
        "beside the one of the node. Run the processes without hostNetwork",
        prefixes);
  }
  return fmt::format(
      "processes on the host network reach no remote pod: the host has no address inside {}. "
      "For the same reason this node sends no probes through other nodes' gateways, so it does not "
      "find a path with a smaller MTU or a gateway that does not forward. Give one of the host's "
      "devices an address inside that prefix, as most CNIs' bridges have, or run the processes "
      "without hostNetwork",
      prefixes);
}

void Troubles::check_host(const Seen& seen) {
  std::string without;
  for (const auto& prefix : seen.self.pod_cidrs) {
    if (seen.host.prefer_src.count(prefix.family()) != 0) continue;
    without += fmt::format("{}{}", without.empty() ? "" : " and ", prefix.to_string());
  }
  if (seen.remotes.empty()) without.clear();
  if (!without.empty()) without = host_unserved(without, seen.self.whole);
  if (without != hostless_ && !without.empty()) log_warn(without);
  host_unserved_.set(without.empty() ? 0 : 1);
  hostless_ = std::move(without);
}

}  // namespace cw::routeagent
