#include "routeagent/node/reconcile.h"

#include <fmt/format.h>

#include <map>

#include "netlink/owners.h"
#include "routeagent/node/rule_order.h"

namespace cw::routeagent {

namespace {

using netlink::Kernel;

// Removes what a moved gateway left here. Its tunnel driver does not run here, so the device is
// removed like the gateway's other objects.
void remove_stray_tunnel(Kernel& kernel, const std::string& kind, NodeReport& report) {
  auto gone = netlink::gateway_owner();
  gone.links = {{std::string(netlink::kTunnelLink), {kind}}};
  report.add(netlink::remove_all(kernel, std::move(gone)));
}

std::set<Family> forwarded(const NodeState& desired) {
  std::set<Family> families{Family::kV4};
  if (desired.sysctls.count("ipv6/conf/all/forwarding") != 0) families.insert(Family::kV6);
  return families;
}

// Checks whether pods' packets reach our rules.
void check_rule_order(Kernel& kernel, const NodeState& desired, NodeReport& report) {
  const auto all = kernel.all_rules();
  const auto links = kernel.all_links();
  if (!report.read(all, "dump all rules") || !report.read(links, "dump links")) return;
  std::map<std::pair<Family, std::uint32_t>, std::vector<Prefix>> seen;
  const auto destinations = [&](Family family, std::uint32_t table) {
    const auto [at, fresh] = seen.try_emplace({family, table});
    if (!fresh) return at->second;
    auto found = kernel.all_destinations(family, table);
    if (report.read(found, fmt::format("dump table {}", table))) at->second = std::move(*found);
    return at->second;
  };
  const auto before = rules_before(*all, desired.priorities, desired.pods, desired.exempt,
                                   destinations, outside_of(*links));
  report.rules_before = before.size();
  if (before.empty()) return;
  report.complaints.push_back(rules_complaint(before, desired.priorities));
}

}  // namespace

NodeReport NodeReconciler::apply(const NodeState& desired) {
  set_desired(desired);
  return pass(desired);
}

NodeReport NodeReconciler::pass(const NodeState& desired) {
  NodeReport report;
  if (!desired.stray_tunnel.empty()) remove_stray_tunnel(slow_, desired.stray_tunnel, report);
  // Before the state's sysctls turn forwarding on.
  const bool may_forward =
      !desired.forward || forward_.apply(slow_, *desired.forward, forwarded(desired), report);
  report.add(reconciler_.pass(desired, may_forward));
  if (!report.ended_early) check_rule_order(slow_, desired, report);
  return report;
}

netlink::PassReport remove_node(netlink::Kernel& kernel, const std::set<Family>& forwarding) {
  auto report = netlink::remove_all(kernel, netlink::node_owner());
  remove_forward_policy(kernel, forwarding, report);
  return report;
}

}  // namespace cw::routeagent
