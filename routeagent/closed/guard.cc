#include "routeagent/closed/guard.h"

#include <fmt/format.h>

#include <algorithm>

#include "netlink/owner.h"

namespace cw::routeagent {

namespace {

using netlink::kClosedNftTable;
using netlink::kTunnelLink;
using netlink::kVxlanLink;
using netlink::Rule;

std::string set_text(Family family, std::span<const Prefix> closed) {
  std::vector<std::string> elements;
  for (const auto& prefix : closed) {
    if (prefix.family() == family) elements.push_back(prefix.to_string());
  }
  return fmt::format(
      "\tset remote{} {{\n\t\ttype {}\n\t\tflags interval\n{}\t}}\n", family == Family::kV4 ? 4 : 6,
      family == Family::kV4 ? "ipv4_addr" : "ipv6_addr",
      elements.empty() ? "" : fmt::format("\t\telements = {{ {} }}\n", fmt::join(elements, ", ")));
}

// Postrouting sees the destination after every translation, of forwarded and of local packets.
// `lo` is this host's own delivery: nothing leaves by it, and no pod sends by it.
std::string table_text(std::span<const Prefix> closed) {
  const auto ours = fmt::format("{{ \"lo\", \"{}\", \"{}\" }}", kVxlanLink, kTunnelLink);
  return fmt::format(
             "table inet {0} {{}}\ndelete table inet {0}\ntable inet {0} {{\n"
             "\tcounter leaving {{\n\t}}\n"
             "\tcounter arriving {{\n\t}}\n",
             kClosedNftTable) +
         set_text(Family::kV4, closed) + set_text(Family::kV6, closed) +
         fmt::format(
             "\tchain to-remote {{\n"
             "\t\ttype filter hook postrouting priority srcnat + 50; policy accept;\n"
             "\t\toifname {0} accept\n"
             "\t\tmeta mark {1:#x} accept\n"
             "\t\tip daddr @remote4 counter name \"leaving\" drop\n"
             "\t\tip6 daddr @remote6 counter name \"leaving\" drop\n"
             "\t}}\n"
             "\tchain from-remote {{\n"
             "\t\ttype filter hook prerouting priority raw - 10; policy accept;\n"
             "\t\tiifname {0} accept\n"
             "\t\tmeta mark {1:#x} accept\n"
             "\t\tip saddr @remote4 counter name \"arriving\" drop\n"
             "\t\tip6 saddr @remote6 counter name \"arriving\" drop\n"
             "\t}}\n"
             "}}\n",
             ours, netlink::kTunnelMark);
}

bool is_ours(const Rule& rule) { return rule.unreachable; }

std::string describe(const Rule& rule) {
  if (is_bypass(rule)) return fmt::format("rule {}", rule.priority);
  return fmt::format("rule {} to {} unreachable", rule.priority,
                     rule.to ? rule.to->to_string() : "all");
}

void note(PassReport& report, Result<> done, const std::string& what) {
  ++report.steps;
  if (!done) report.errors.push_back(std::move(done.error()).context(what).text);
}

}  // namespace

std::set<Rule> bypass_rules(const netlink::RulePriorities& rules) {
  std::set<Rule> all;
  for (const auto family : {Family::kV4, Family::kV6}) {
    Rule bypass{family, rules.bypass, 0, {}};
    bypass.mark = netlink::kTunnelMark;
    bypass.go_to = rules.landing();
    Rule landing{family, rules.landing(), 0, {}};
    landing.nop = true;
    all.insert({bypass, landing});
  }
  return all;
}

bool is_bypass(const Rule& rule) { return rule.nop || rule.go_to != 0; }

GuardState guard_state(std::span<const Prefix> closed, const netlink::RulePriorities& rules) {
  GuardState state;
  for (const auto& prefix : closed) {
    state.rules.insert({prefix.family(), rules.closed(), 0, {}, prefix, true});
  }
  if (closed.empty()) return state;
  state.rules.merge(bypass_rules(rules));
  state.nft = table_text(closed);
  return state;
}

PassReport Guard::apply(const GuardState& wanted) {
  PassReport report;
  const auto rules = kernel_.dump_rules();
  if (!rules) report.errors.push_back(rules.error().context("dump rules").text);
  const std::set<Rule> actual =
      rules ? std::set<Rule>(rules->begin(), rules->end()) : std::set<Rule>{};
  for (const auto& rule : wanted.rules) {
    if (rules && actual.count(rule) != 0) continue;
    note(report, kernel_.add_rule(rule), describe(rule));
  }

  const std::string table(kClosedNftTable);
  const auto listing = kernel_.dump_nft(table);
  if (!listing) {
    report.errors.push_back(listing.error().context("list nft table " + table).text);
  } else if (wanted.nft.empty()) {
    if (!listing->empty()) note(report, kernel_.remove_nft(table), "remove nft table " + table);
    nft_text_.clear();
  } else if (wanted.nft != nft_text_ || *listing != nft_listing_ || listing->empty()) {
    auto applied = kernel_.apply_nft(wanted.nft);
    const bool good = applied.has_value();
    note(report, std::move(applied), "apply nft table " + table);
    const auto after = kernel_.dump_nft(table);
    nft_text_ = good && after ? wanted.nft : std::string();
    nft_listing_ = good && after ? *after : std::string();
  }

  const bool others = std::any_of(actual.begin(), actual.end(), [](const Rule& rule) {
    return rule.table == netlink::kToRemoteTable;
  });
  for (const auto& rule : actual) {
    if (!is_ours(rule) && (!is_bypass(rule) || others)) continue;
    if (wanted.rules.count(rule) != 0) continue;
    note(report, kernel_.remove_rule(rule), "remove " + describe(rule));
  }
  return report;
}

}  // namespace cw::routeagent
