// Checks whether packets of this node's pods reach our tables. Rules of other programs that stand
// before ours take them away: the AWS VPC CNI and Cilium's ENI mode have a rule for each pod, VPN
// programs one for all packets. Pure.
#pragma once

#include <functional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "netlink/kernel.h"
#include "netlink/owner.h"

namespace cw::routeagent {

// The destinations of a table's routes.
using Destinations = std::function<std::vector<Prefix>(Family, std::uint32_t table)>;
using Devices = std::set<std::string>;  // names

// The foreign rules that stand before `ours` and decide about a packet from a prefix of `pods` to a
// prefix of `remotes`. These do not count:
// * a rule that looks up a table without such a route;
// * a rule that matches a firewall mark, because a packet has no mark when it leaves its pod;
// * a rule for packets that come in by a device of `outside`, because no pod's packet does.
[[nodiscard]] std::vector<netlink::AnyRule> rules_before(std::span<const netlink::AnyRule> all,
                                                         const netlink::RulePriorities& ours,
                                                         std::span<const Prefix> pods,
                                                         std::span<const Prefix> remotes,
                                                         const Destinations& destinations,
                                                         const Devices& outside = {});
// The devices by which packets come from other hosts: plain ones, bonds and VLANs.
[[nodiscard]] Devices outside_of(std::span<const netlink::Link> links);

// As ip(8) prints it: `1536: from 10.41.3.7/32 lookup 2`.
[[nodiscard]] std::string rule_text(const netlink::AnyRule& rule);

// One sentence for the administrator, with the remedy; empty without rules.
[[nodiscard]] std::string rules_complaint(std::span<const netlink::AnyRule> before,
                                          const netlink::RulePriorities& ours);

}  // namespace cw::routeagent
