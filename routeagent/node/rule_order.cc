#include "routeagent/node/rule_order.h"

#include <fmt/format.h>

#include <algorithm>

namespace cw::routeagent {

namespace {

using netlink::AnyRule;

constexpr std::uint32_t kLocalTable = 255;  // RT_TABLE_LOCAL

bool overlaps(const std::optional<Prefix>& selector, const Prefix& prefix) {
  return !selector || selector->overlaps(prefix);
}
bool covers(const std::optional<Prefix>& selector, const Prefix& prefix) {
  return !selector || selector->contains(prefix);
}

// Whether the rule matches some packets that pods here send from `pod` to `remote`.
bool matches(const AnyRule& rule, const Prefix& pod, const Prefix& remote, const Devices& outside) {
  // A rule for the host's own packets (`oif` matches bound sockets), or for those of our devices.
  const bool not_pods = rule.special || !rule.oif.empty() || rule.iif == "lo" ||
                        rule.iif == netlink::kTunnelLink || rule.iif == netlink::kVxlanLink ||
                        outside.count(rule.iif) != 0;
  const bool marked = (0 & rule.mask) != rule.mark;
  if (!rule.invert) {
    return !not_pods && !marked && overlaps(rule.from, pod) && overlaps(rule.to, remote);
  }
  return not_pods || marked || !rule.iif.empty() || !covers(rule.from, pod) ||
         !covers(rule.to, remote);
}

bool decides(const AnyRule& rule, const netlink::RulePriorities& ours, const Prefix& remote,
             const Destinations& destinations) {
  switch (rule.action) {
    case AnyRule::Action::kRefuse:
      return true;
    case AnyRule::Action::kNop:
      return false;
    case AnyRule::Action::kGoTo:
      return rule.table > ours.to_remote();
    case AnyRule::Action::kTable:
      break;
  }
  if (rule.table == kLocalTable) return false;
  const auto ways = destinations(rule.family, rule.table);
  return std::any_of(ways.begin(), ways.end(), [&](const Prefix& way) {
    return static_cast<int>(way.length()) > rule.suppress_length && way.overlaps(remote);
  });
}

std::string mark_text(const AnyRule& rule) {
  if (rule.mask == 0) return {};
  return rule.mask == 0xffffffff ? fmt::format(" fwmark {:#x}", rule.mark)
                                 : fmt::format(" fwmark {:#x}/{:#x}", rule.mark, rule.mask);
}

std::string action_text(const AnyRule& rule) {
  switch (rule.action) {
    case AnyRule::Action::kRefuse:
      return "unreachable";
    case AnyRule::Action::kNop:
      return "nop";
    case AnyRule::Action::kGoTo:
      return fmt::format("goto {}", rule.table);
    case AnyRule::Action::kTable:
      break;
  }
  return rule.table == 254 ? "lookup main" : fmt::format("lookup {}", rule.table);
}

}  // namespace

std::vector<AnyRule> rules_before(std::span<const AnyRule> all, const netlink::RulePriorities& ours,
                                  std::span<const Prefix> pods, std::span<const Prefix> remotes,
                                  const Destinations& destinations, const Devices& outside) {
  std::vector<AnyRule> before;
  for (const auto& rule : all) {
    if (rule.ours || rule.priority >= ours.to_remote()) continue;
    const bool takes = std::any_of(pods.begin(), pods.end(), [&](const Prefix& pod) {
      if (pod.family() != rule.family) return false;
      return std::any_of(remotes.begin(), remotes.end(), [&](const Prefix& remote) {
        return remote.family() == rule.family && matches(rule, pod, remote, outside) &&
               decides(rule, ours, remote, destinations);
      });
    });
    if (takes) before.push_back(rule);
  }
  return before;
}

Devices outside_of(std::span<const netlink::Link> links) {
  Devices outside;
  for (const auto& link : links) {
    if (link.kind.empty() || link.kind == "bond" || link.kind == "vlan") outside.insert(link.name);
  }
  return outside;
}

std::string rule_text(const AnyRule& rule) {
  std::string text = fmt::format("{}:{} from {}", rule.priority, rule.invert ? " not" : "",
                                 rule.from ? rule.from->to_string() : "all");
  if (rule.to) text += fmt::format(" to {}", rule.to->to_string());
  text += mark_text(rule);
  if (!rule.iif.empty()) text += fmt::format(" iif {}", rule.iif);
  return text + " " + action_text(rule);
}

std::string rules_complaint(std::span<const AnyRule> before, const netlink::RulePriorities& ours) {
  constexpr std::size_t kShown = 3;
  if (before.empty()) return {};
  std::vector<std::string> shown;
  std::uint32_t lowest = before.front().priority;
  for (const auto& rule : before) {
    lowest = std::min(lowest, rule.priority);
    if (shown.size() < kShown) shown.push_back(fmt::format("\"{}\"", rule_text(rule)));
  }
  const auto more =
      before.size() > kShown ? fmt::format(" and {} more", before.size() - kShown) : std::string();
  // The last of our six rules must stand before it.
  const auto remedy =
      lowest > 6
          ? fmt::format("Set rulePriority to {} or less for the route agents and the gateways",
                        lowest - 6)
          : std::string("Give that rule a larger priority");
  return fmt::format(
      "rules of another program stand before rule {}, so pods here reach no remote cluster: {}{}. "
      "{}",
      ours.to_remote(), fmt::join(shown, ", "), more, remedy);
}

}  // namespace cw::routeagent
