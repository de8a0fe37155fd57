#include "homing/choose.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "homing/order.h"

namespace cw::homing {

namespace {

const GatewayInput* find(const std::vector<GatewayInput>& gateways, std::uint32_t ordinal) {
  const auto at = std::find_if(gateways.begin(), gateways.end(),
                               [ordinal](const auto& g) { return g.ordinal == ordinal; });
  return at == gateways.end() ? nullptr : &*at;
}

// `here`: the gateway of this node, if it is the only one that may forward.
std::string silence_text(const ChoiceKey& key, const std::vector<std::uint32_t>& silent,
                         const GatewayInput* here) {
  const bool v4 = key.family == Family::kV4;
  return fmt::format(
      "no gateway{} forwards {} packets to {}: {} {} the cluster, and no probe of this node comes "
      "back.{} Look at the gateways' nodes in both clusters: does the FORWARD chain drop "
      "(`iptables -S FORWARD`, `nft list ruleset`), and is forwarding on (`sysctl {}`)?",
      here == nullptr ? "" : " of another node", v4 ? "IPv4" : "IPv6", key.cluster,
      silent.size() == 1 ? fmt::format("gateway {}", silent.front())
                         : fmt::format("gateways {}", fmt::join(silent, ", ")),
      silent.size() == 1 ? "reaches" : "reach",
      here == nullptr
          ? ""
          : fmt::format(" Whether gateway {} on this node forwards cannot be probed from here.",
                        here->ordinal),
      v4 ? "net.ipv4.ip_forward" : "net.ipv6.conf.all.forwarding");
}

}  // namespace

std::map<ChoiceKey, Silence> silent_everywhere(const ChooseInput& input) {
  std::map<ChoiceKey, Silence> all;
  for (const auto& remote : input.remotes) {
    for (const auto family : input.families) {
      const ChoiceKey key{remote, family};
      std::vector<std::uint32_t> silent;
      const GatewayInput* here = nullptr;
      bool forwards = false;
      for (const auto& gateway : input.gateways) {
        if (!gateway.usable || gateway.reaches.count(remote) == 0) continue;
        if (gateway.not_forwarding.count(key) != 0) {
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

void Chooser::watch(const ChooseInput& input, TimePoint now) {
  std::map<StandingKey, HoldDown> next;
  for (const auto& remote : input.remotes) {
    for (const auto family : input.families) {
      const ChoiceKey choice{remote, family};
      bool any_good = false;
      for (const auto& gateway : input.gateways) {
        const StandingKey key{choice, gateway.ordinal};
        auto& hold_down = next[key];
        if (const auto before = hold_downs_.find(key); before != hold_downs_.end()) {
          hold_down = before->second;
        }
        const bool good = health_of(input.gateways, gateway, choice) == Health::kGood;
        hold_down.look(good, hold_down_, now);
        any_good = any_good || good;
      }
      if (any_good) continue;
      // The cluster is lost, or all gateways lose much. The first gateway that comes back must not
      // keep the node for a whole hold-down.
      for (auto& [key, hold_down] : next) {
        if (key.choice == choice) hold_down = HoldDown{};
      }
    }
  }
  hold_downs_ = std::move(next);
}

bool Chooser::held(const StandingKey& key, TimePoint now) const {
  const auto at = hold_downs_.find(key);
  return at != hold_downs_.end() && at->second.active(now);
}

Choice Chooser::choice(const ChooseInput& input, const ChoiceKey& key,
                       std::optional<std::uint32_t> current, TimePoint now) const {
  std::vector<GatewayView> views;
  for (const auto& gateway : input.gateways) {
    views.push_back({gateway.ordinal, gateway.usable, gateway.draining, gateway.node});
  }
  const auto order = home_order(input.owner, views);

  std::optional<std::uint32_t> best;
  std::pair best_rank{Health::kDown, false};  // health, and whether it is held
  std::vector<std::string> objections;
  std::vector<std::string> ahead;  // objections to those before the best
  for (const auto ordinal : order) {
    const auto* gateway = find(input.gateways, ordinal);
    if (gateway == nullptr) continue;
    // The traffic never leaves its carrier because the carrier came back lately.
    const std::pair rank{health_of(input.gateways, *gateway, key),
                         current != ordinal && held({key, ordinal}, now)};
    const auto against = rank.second
                             ? fmt::format("gateway {} came back and is in hold-down", ordinal)
                             : objection(*gateway, rank.first, key.cluster);
    if (rank.first != Health::kDown && (!best || rank < best_rank)) {
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
    // A silent gateway's kernel may still forward while its daemon restarts, and no gateway has
    // confirmed that the cluster is lost.
    if (const auto* carrier = current ? find(input.gateways, *current) : nullptr;
        carrier != nullptr && !carrier->usable) {
      result.ordinal = current;
      result.reason += "; it stays there, as no other gateway works";
    }
  } else if (ahead.empty()) {
    result.reason = input.owner.whole_cluster() ? "home of the cluster as a whole"
                                                : fmt::format("home of node {}", input.owner.node);
  } else {
    // The best gateway has an objection of its own: those to all gateways explain the choice.
    const bool good = best_rank == std::pair{Health::kGood, false};
    result.reason = fmt::format("{}", fmt::join(good ? ahead : objections, "; "));
  }
  return result;
}

const std::map<ChoiceKey, Choice>& Chooser::update(const ChooseInput& input, TimePoint now,
                                                   WallTime wall) {
  watch(input, now);
  std::map<ChoiceKey, Choice> next;
  for (const auto& remote : input.remotes) {
    for (const auto family : input.families) {
      const ChoiceKey key{remote, family};
      const auto before = choices_.find(key);
      const auto current = before == choices_.end() ? std::nullopt : before->second.ordinal;
      auto chosen = choice(input, key, current, now);
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
  for (const auto& [key, hold_down] : hold_downs_) {
    if (!hold_down.active(now)) continue;
    if (!earliest || hold_down.end() < *earliest) earliest = hold_down.end();
  }
  return earliest;
}

}  // namespace cw::homing
