#include "routeagent/node/forward_policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "netlink/owner.h"

namespace cw::routeagent {

namespace {

using netlink::kForwardNftTable;
using netlink::kTunnelLink;
using netlink::kVxlanLink;

const char* chain_name(Family family) { return family == Family::kV4 ? "ours4" : "ours6"; }
const char* sysctl_of(Family family) {
  return family == Family::kV4 ? "ipv4/ip_forward" : "ipv6/conf/all/forwarding";
}

// `accept` ends this chain only: chains of other tables still judge the packet. ICMP errors come
// from routers, whose addresses are in no set.
netlink::NftChain ours_only(Family family) {
  const bool v4 = family == Family::kV4;
  const auto* ip = v4 ? "ip" : "ip6";
  const int n = v4 ? 4 : 6;
  const auto devices = fmt::format("{{ \"{}\", \"{}\" }}", kVxlanLink, kTunnelLink);
  return {chain_name(family),
          "filter hook forward priority filter - 10",
          {fmt::format("meta nfproto != {} accept", v4 ? "ipv4" : "ipv6"),
           fmt::format("iifname {0} oifname {0} accept", devices),
           fmt::format("{0} saddr @local{1} {0} daddr @remote{1} accept", ip, n),
           fmt::format("{0} saddr @remote{1} {0} daddr @local{1} accept", ip, n),
           fmt::format("iifname {} {} daddr @local{} {} accept", devices, ip, n,
                       v4 ? "icmp type { destination-unreachable, time-exceeded, "
                            "parameter-problem }"
                          : "icmpv6 type { destination-unreachable, packet-too-big, "
                            "time-exceeded, parameter-problem }"),
           "drop"}};
}

}  // namespace

netlink::NftTable forward_table(const ForwardInputs& inputs, const std::set<Family>& families) {
  netlink::NftTable table{std::string(kForwardNftTable)};
  for (const auto family : families) {
    table.sets.push_back(netlink::prefix_set("local", family, inputs.local));
    table.sets.push_back(netlink::prefix_set("remote", family, inputs.remote));
    table.chains.push_back(ours_only(family));
  }
  return table;
}

// Decides once per family, before the agent changes the setting. Forwarding is ours if it is off,
// or if the agent turned it on earlier. The disk has the answer before the setting changes.
bool ForwardPolicy::recall(netlink::Kernel& kernel, const std::set<Family>& families,
                           netlink::PassReport& report) {
  if (std::includes(recalled_.begin(), recalled_.end(), families.begin(), families.end())) {
    return true;
  }
  const auto before = kernel.dump_nft(std::string(kForwardNftTable));
  if (!report.read(before, "list nft table")) return false;
  auto ours = ours_;
  for (const auto family : families) {
    if (recalled_.count(family) != 0) continue;
    const auto now = kernel.sysctl(sysctl_of(family));
    if (!report.read(now, "read forwarding")) return false;
    const auto chain = fmt::format("chain {}", chain_name(family));
    const bool known = *now == "0" || before->find(chain) != std::string::npos;
    if (!known && !report.read(memory_.before, "read who turned forwarding on")) return false;
    if (known || memory_.before->count(family) != 0) ours.insert(family);
  }
  auto noted = ours;
  if (memory_.before) noted.insert(memory_.before->begin(), memory_.before->end());
  if (memory_.write && (!memory_.before || noted != *memory_.before)) {
    if (!report.read(memory_.write(noted), "save who turned forwarding on")) return false;
    memory_.before = std::move(noted);
  }
  ours_ = std::move(ours);
  recalled_.insert(families.begin(), families.end());
  return true;
}

bool ForwardPolicy::apply(netlink::Kernel& kernel, const ForwardInputs& inputs,
                          const std::set<Family>& families, netlink::PassReport& report) {
  if (!recall(kernel, families, report)) return false;
  if (ours_.empty()) return true;
  const auto outcome = nft_.keep(kernel, forward_table(inputs, ours_), report);
  using Outcome = netlink::NftKeeper::Outcome;
  return outcome == Outcome::kSame || outcome == Outcome::kApplied;
}

void remove_forward_policy(netlink::Kernel& kernel, const std::set<Family>& remembered,
                           netlink::PassReport& report) {
  const std::string table(kForwardNftTable);
  const auto now = kernel.dump_nft(table);
  if (!report.read(now, "list nft table " + table)) return;
  for (const auto family : {Family::kV4, Family::kV6}) {
    const auto chain = fmt::format("chain {}", chain_name(family));
    if (now->find(chain) == std::string::npos && remembered.count(family) == 0) continue;
    report.step(kernel.set_sysctl(sysctl_of(family), "0"), "turn forwarding off again");
  }
  if (!now->empty()) report.step(kernel.remove_nft(table), "remove nft table " + table);
}

}  // namespace cw::routeagent
