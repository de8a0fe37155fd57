#include "routeagent/node/forward_policy.h"

#include <fmt/format.h>

#include <algorithm>

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

std::string set_text(std::string_view name, Family family, std::vector<Prefix> prefixes) {
  std::erase_if(prefixes, [family](const Prefix& prefix) { return prefix.family() != family; });
  std::sort(prefixes.begin(), prefixes.end());
  prefixes.erase(std::unique(prefixes.begin(), prefixes.end()), prefixes.end());
  std::vector<std::string> elements;
  elements.reserve(prefixes.size());
  for (const auto& prefix : prefixes) elements.push_back(prefix.to_string());
  const bool v4 = family == Family::kV4;
  return fmt::format(
      "\tset {}{} {{\n\t\ttype {}\n\t\tflags interval\n\t\tauto-merge\n{}\t}}\n", name, v4 ? 4 : 6,
      v4 ? "ipv4_addr" : "ipv6_addr",
      elements.empty() ? "" : fmt::format("\t\telements = {{ {} }}\n", fmt::join(elements, ", ")));
}

// Accepting here ends this chain only: other tables' chains are asked too. The messages about a
// path come from routers, whose addresses are in no set.
std::string chain_text(Family family) {
  const bool v4 = family == Family::kV4;
  return fmt::format(
      "\tchain {0} {{\n"
      "\t\ttype filter hook forward priority filter - 10; policy accept;\n"
      "\t\tmeta nfproto != {1} accept\n"
      "\t\tiifname {{ \"{2}\", \"{3}\" }} oifname {{ \"{2}\", \"{3}\" }} accept\n"
      "\t\t{4} saddr @local{5} {4} daddr @remote{5} accept\n"
      "\t\t{4} saddr @remote{5} {4} daddr @local{5} accept\n"
      "\t\tiifname {{ \"{2}\", \"{3}\" }} {4} daddr @local{5} {6} accept\n"
      "\t\tdrop\n"
      "\t}}\n",
      chain_name(family), v4 ? "ipv4" : "ipv6", kVxlanLink, kTunnelLink, v4 ? "ip" : "ip6",
      v4 ? 4 : 6,
      v4 ? "icmp type { destination-unreachable, time-exceeded, parameter-problem }"
         : "icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, "
           "parameter-problem }");
}

}  // namespace

std::string forward_table(const ForwardInputs& inputs, const std::set<Family>& families) {
  if (families.empty()) return {};
  auto text = fmt::format("table inet {0} {{}}\ndelete table inet {0}\ntable inet {0} {{\n",
                          kForwardNftTable);
  for (const auto family : families) {
    text += set_text("local", family, inputs.local) + set_text("remote", family, inputs.remote) +
            chain_text(family);
  }
  return text + "}\n";
}

// Decided once a family, before we touch its setting: is it off, or was it us who turned it on? The
// disk has the answer before the setting changes.
bool ForwardPolicy::recall(netlink::Kernel& kernel, const std::set<Family>& families,
                           PassReport& report) {
  if (std::includes(recalled_.begin(), recalled_.end(), families.begin(), families.end())) {
    return true;
  }
  const auto before = kernel.dump_nft(std::string(kForwardNftTable));
  if (!before) {
    report.errors.push_back(before.error().context("list nft table").text);
    return false;
  }
  auto ours = ours_;
  for (const auto family : families) {
    if (recalled_.count(family) != 0) continue;
    const auto now = kernel.sysctl(sysctl_of(family));
    if (!now) {
      report.errors.push_back(now.error().context("forwarding").text);
      return false;
    }
    const auto chain = fmt::format("chain {}", chain_name(family));
    const bool known = *now == "0" || before->find(chain) != std::string::npos;
    if (!known && !memory_.before) {
      report.errors.push_back(memory_.before.error().context("who turned forwarding on").text);
      return false;
    }
    if (known || memory_.before->count(family) != 0) ours.insert(family);
  }
  auto noted = ours;
  if (memory_.before) noted.insert(memory_.before->begin(), memory_.before->end());
  if (memory_.write && (!memory_.before || noted != *memory_.before)) {
    if (const auto written = memory_.write(noted); !written) {
      report.errors.push_back(written.error().context("note that forwarding is ours").text);
      return false;
    }
    memory_.before = std::move(noted);
  }
  ours_ = std::move(ours);
  recalled_.insert(families.begin(), families.end());
  return true;
}

bool ForwardPolicy::apply(netlink::Kernel& kernel, const ForwardInputs& inputs,
                          const std::set<Family>& families, PassReport& report) {
  if (!recall(kernel, families, report)) return false;
  const auto text = forward_table(inputs, ours_);
  if (text.empty()) return true;
  const std::string table(kForwardNftTable);
  const auto now = kernel.dump_nft(table);
  if (!now) {
    report.errors.push_back(now.error().context("list nft table").text);
    return false;
  }
  if (text == text_ && *now == listing_ && !now->empty()) return true;
  ++report.steps;
  const auto applied = kernel.apply_nft(text);
  if (!applied) {
    report.errors.push_back(applied.error().context("apply forward policy").text);
    text_.clear();
    return false;
  }
  const auto after = kernel.dump_nft(table);
  text_ = after ? text : std::string();
  listing_ = after ? *after : std::string();
  return true;
}

void remove_forward_policy(netlink::Kernel& kernel, const std::set<Family>& remembered,
                           PassReport& report) {
  const std::string table(kForwardNftTable);
  const auto now = kernel.dump_nft(table);
  if (!now) {
    report.errors.push_back(now.error().context("list nft table").text);
    return;
  }
  const auto step = [&](const Result<>& done, const std::string& what) {
    ++report.steps;
    if (!done) report.errors.push_back(done.error().context(what).text);
  };
  for (const auto family : {Family::kV4, Family::kV6}) {
    const auto chain = fmt::format("chain {}", chain_name(family));
    if (now->find(chain) == std::string::npos && remembered.count(family) == 0) continue;
    step(kernel.set_sysctl(sysctl_of(family), "0"), "turn forwarding off again");
  }
  if (!now->empty()) step(kernel.remove_nft(table), "remove nft table");
}

}  // namespace cw::routeagent
