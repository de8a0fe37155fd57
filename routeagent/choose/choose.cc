#include "routeagent/choose/choose.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/homing/homing.h"

namespace cw::routeagent {

namespace {

// Why `gateway` is not the first choice for `remote`; empty if nothing speaks against it.
std::string objection(const GatewayInput& gateway, const std::string& remote, bool blocked,
                      bool held) {
  if (!gateway.usable) return fmt::format("gateway {} {}", gateway.ordinal, gateway.trouble);
  if (gateway.reaches.count(remote) == 0) {
    return fmt::format("gateway {} does not reach {}", gateway.ordinal, remote);
  }
  if (blocked) return fmt::format("gateway {} does not forward to {}", gateway.ordinal, remote);
  if (gateway.draining) return fmt::format("gateway {} is draining", gateway.ordinal);
  if (gateway.loses.count(remote) != 0) {
    return fmt::format("gateway {} loses much on the way to {}", gateway.ordinal, remote);
  }
  if (held) return fmt::format("gateway {} came back and is in hold-down", gateway.ordinal);
  return {};
}

const GatewayInput* find(const std::vector<GatewayInput>& gateways, std::uint32_t ordinal) {
  const auto at = std::find_if(gateways.begin(), gateways.end(),
                               [ordinal](const auto& g) { return g.ordinal == ordinal; });
  return at == gateways.end() ? nullptr : &*at;
}

}  // namespace

bool does_not_forward(const std::vector<GatewayInput>& gateways, const GatewayInput& gateway,
                      const ChoiceKey& choice) {
  return gateway.silent.count(choice) != 0 &&
         std::any_of(gateways.begin(), gateways.end(), [&](const auto& other) {
           return other.ordinal != gateway.ordinal && other.usable &&
                  other.reaches.count(choice.cluster) != 0 && other.forwards.count(choice) != 0;
         });
}

namespace {

std::string silence_text(const ChoiceKey& key, const std::vector<std::uint32_t>& silent,
                         const GatewayInput* here) {
  const bool v4 = key.family == Family::kV4;
  const bool one = silent.size() == 1;
  const auto gateways = one ? fmt::format("gateway {}", silent.front())
                            : fmt::format("gateways {}", fmt::join(silent, ", "));
  auto text = here == nullptr
                  ? fmt::format(
                        "no gateway forwards {} packets to {}: {} {} the cluster, and no probe of "
                        "this node comes back",
                        v4 ? "IPv4" : "IPv6", key.cluster, gateways, one ? "reaches" : "reach")
                  : fmt::format(
                        "no gateway of another node forwards {} packets to {}: {} {} the cluster, "
                        "and no probe of this node comes back. Whether gateway {} on this node "
                        "forwards cannot be probed from here",
                        v4 ? "IPv4" : "IPv6", key.cluster, gateways, one ? "reaches" : "reach",
                        here->ordinal);
  return text + fmt::format(
                    ". Look at the gateways' nodes in both clusters: does the FORWARD chain drop "
                    "(`iptables -S FORWARD`, `nft list ruleset`), and is forwarding on (`sysctl "
                    "{}`)?",
                    v4 ? "net.ipv4.ip_forward" : "net.ipv6.conf.all.forwarding");
}

}  // namespace

std::map<ChoiceKey, Silence> silent_everywhere(const ChooseInput& input) {
  std::map<ChoiceKey, Silence> all;
  for (const auto& remote : input.remotes) {
    for (const auto& [family, prefix] : input.homed) {
      const ChoiceKey key{remote, family};
      std::vector<std::uint32_t> silent;
      const GatewayInput* here = nullptr;
      bool forwards = false;
      for (const auto& gateway : input.gateways) {
        if (!gateway.usable || gateway.reaches.count(remote) == 0) continue;
        if (gateway.silent.count(key) != 0) {
          silent.push_back(gateway.ordinal);
        } else if (gateway.here && gateway.forwards.count(key) == 0) {
          here = &gateway;
        } else {
          forwards = true;  // or it is not known yet
        }
      }
      if (silent.empty() || forwards) continue;
      all[key] = {silence_text(key, silent, here), here == nullptr};
    }
  }
  return all;
}

void Chooser::judge(const ChooseInput& input, TimePoint now) {
  std::map<StandingKey, Standing> next;
  for (const auto& remote : input.remotes) {
    for (const auto& [family, prefix] : input.homed) {
      const ChoiceKey choice{remote, family};
      bool any_good = false;
      for (const auto& gateway : input.gateways) {
        const StandingKey key{choice, gateway.ordinal};
        const auto before = standings_.find(key);
        Standing standing = before == standings_.end() ? Standing{} : before->second;
        const bool good = gateway.usable && !gateway.draining &&
                          gateway.reaches.count(remote) != 0 && gateway.loses.count(remote) == 0 &&
                          !does_not_forward(input.gateways, gateway, choice);
        if (good && !standing.good) {
          standing.held = standing.ever_good;
          standing.ever_good = true;
          standing.good_since = now;
        }
        standing.good = good;
        any_good = any_good || good;
        next[key] = standing;
      }
      if (any_good) continue;
      // The cluster is lost altogether, or all lose much. Whoever comes back first must not keep
      // the prefix for a whole hold-down: the remote side starts afresh too, and both must agree on
      // the home.
      for (auto& [key, standing] : next) {
        if (key.choice == choice) standing = Standing{};
      }
    }
  }
  standings_ = std::move(next);
}

bool Chooser::in_hold_down(const StandingKey& key, TimePoint now) const {
  const auto at = standings_.find(key);
  return at != standings_.end() && at->second.good && at->second.held &&
         now < at->second.good_since + hold_down_;
}

Choice Chooser::choice(const ChooseInput& input, const ChoiceKey& key, const Prefix& prefix,
                       std::optional<std::uint32_t> current, TimePoint now) const {
  const auto& remote = key.cluster;
  std::vector<api::GatewayView> views;
  for (const auto& gateway : input.gateways) {
    views.push_back(
        {gateway.ordinal, gateway.usable, gateway.draining, PrefixSet(gateway.own_prefixes)});
  }
  const auto order = api::home_order(input.cluster, prefix, views);

  std::optional<std::uint32_t> best;
  // 0 good, 1 in hold-down, 2 loses much, 3 draining, 4 answers, 5 does not forward, 6 does not
  // work
  int best_rank = 6;
  std::vector<std::string> objections;
  std::vector<std::string> ahead;  // objections to those before the best
  for (const auto ordinal : order) {
    const auto* gateway = find(input.gateways, ordinal);
    if (gateway == nullptr) continue;
    // Who carries the traffic now is never moved away from because it came back lately.
    const bool held = current != ordinal && in_hold_down({key, ordinal}, now);
    const bool blocked = does_not_forward(input.gateways, *gateway, key);
    const auto against = objection(*gateway, remote, blocked, held);
    const bool reaches = gateway->reaches.count(remote) != 0;
    const bool works = gateway->usable && reaches;
    const bool loses = gateway->loses.count(remote) != 0;
    int rank = 6;
    if (works) {
      rank = blocked ? 5 : gateway->draining ? 3 : loses ? 2 : held ? 1 : 0;
    } else if (gateway->answers && reaches) {
      rank = 4;
    }
    if (rank < best_rank) {
      best_rank = rank;
      best = ordinal;
      ahead = objections;
      if (!against.empty()) ahead.push_back(against);
    }
    if (!against.empty()) objections.push_back(against);
  }

  Choice result{best, {}, {}};
  if (order.empty()) {
    result.reason = "no gateway known";
  } else if (!best) {
    result.reason = fmt::format("{}", fmt::join(objections, "; "));
    // A silent gateway's kernel may well forward on (its daemon restarts), and nobody confirmed the
    // cluster dead: better there than nowhere.
    if (const auto* carrier = current ? find(input.gateways, *current) : nullptr;
        carrier != nullptr && !carrier->usable) {
      result.ordinal = current;
      result.reason += "; it stays there, as nobody else works";
    }
  } else if (best_rank == 0 && ahead.empty()) {
    result.reason = fmt::format("home of {}", prefix.to_string());
  } else {
    // A better-ranked later gateway wins over these; a bad rank is explained by everybody's.
    result.reason = fmt::format("{}", fmt::join(best_rank == 0 ? ahead : objections, "; "));
  }
  return result;
}

const std::map<ChoiceKey, Choice>& Chooser::update(const ChooseInput& input, TimePoint now,
                                                   WallTime wall) {
  judge(input, now);
  std::map<ChoiceKey, Choice> next;
  for (const auto& remote : input.remotes) {
    for (const auto& [family, prefix] : input.homed) {
      const ChoiceKey key{remote, family};
      const auto before = choices_.find(key);
      const auto current = before == choices_.end() ? std::nullopt : before->second.ordinal;
      auto chosen = choice(input, key, prefix, current, now);
      const bool same = before != choices_.end() && before->second.ordinal == chosen.ordinal;
      chosen.since = same ? before->second.since : wall;
      next.emplace(key, std::move(chosen));
    }
  }
  choices_ = std::move(next);
  return choices_;
}

std::optional<TimePoint> Chooser::next_end(TimePoint now) const {
  std::optional<TimePoint> earliest;
  for (const auto& [key, standing] : standings_) {
    if (!in_hold_down(key, now)) continue;
    const auto end = standing.good_since + hold_down_;
    if (!earliest || end < *earliest) earliest = end;
  }
  return earliest;
}

}  // namespace cw::routeagent
