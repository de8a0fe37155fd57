// Rules of CNIs and VPN programs, as nodes have them.
#include "routeagent/node/rule_order.h"

#include <gtest/gtest.h>

namespace cw::routeagent {
namespace {

using netlink::AnyRule;

Prefix net(std::string_view text) { return *Prefix::parse(text); }

const std::vector<Prefix> kPods{net("10.41.3.0/24"), net("fd41:3::/64")};
const std::vector<Prefix> kRemotes{net("10.42.0.0/16"), net("fd42::/48")};

AnyRule lookup(std::uint32_t priority, std::uint32_t table) {
  AnyRule rule;
  rule.priority = priority;
  rule.table = table;
  return rule;
}

// With these, rules of all CNIs can stand before ours.
const netlink::RulePriorities kLate{7484};

// Table 2 has a default route, 52 the prefix of a VPN, 254 is `main`.
std::vector<Prefix> destinations(Family family, std::uint32_t table) {
  if (family == Family::kV6) return {};
  if (table == 2) return {net("0.0.0.0/0")};
  if (table == 52) return {net("100.64.0.0/10")};
  if (table == 254) return {net("0.0.0.0/0"), net("192.0.2.0/24")};
  return {};
}

std::string before(const std::vector<AnyRule>& rules) {
  std::string text;
  for (const auto& rule : rules_before(rules, kLate, kPods, kRemotes, destinations)) {
    text += rule_text(rule) + "\n";
  }
  return text;
}

TEST(RuleOrder, TheRulesOfLinuxAndOursAreNoTrouble) {
  auto ours = lookup(7487, 7487);
  ours.ours = true;
  EXPECT_EQ(before({lookup(0, 255), ours, lookup(32766, 254), lookup(32767, 253)}), "");
}

TEST(RuleOrder, TheAwsCniTakesEachPodAway) {
  auto to_pod = lookup(512, 254);
  to_pod.to = net("10.41.3.7/32");
  auto marked = lookup(1024, 254);
  marked.mark = marked.mask = 0x80;
  auto from_pod = lookup(1536, 2);
  from_pod.from = net("10.41.3.7/32");
  auto from_other = lookup(1536, 2);
  from_other.from = net("10.41.9.7/32");
  EXPECT_EQ(before({to_pod, marked, from_pod, from_other}), "1536: from 10.41.3.7/32 lookup 2\n");
}

TEST(RuleOrder, OnlyATableWithAWayToTheRemoteClusterCounts) {
  EXPECT_EQ(before({lookup(5270, 52), lookup(5271, 77)}), "") << "a VPN's own prefixes";
  EXPECT_EQ(before({lookup(5270, 2)}), "5270: from all lookup 2\n") << "its exit node";
  auto suppressed = lookup(100, 254);
  suppressed.suppress_length = 0;
  EXPECT_EQ(before({suppressed}), "") << "without its default route";
  auto v6 = lookup(100, 2);
  v6.family = Family::kV6;
  EXPECT_EQ(before({v6}), "") << "no such route in IPv6";
}

TEST(RuleOrder, InvertedRulesMatchWhatTheyDoNotName) {
  auto vpn = lookup(100, 2);  // as wg-quick has it
  vpn.mark = 0xca6c;
  vpn.mask = 0xffffffff;
  vpn.invert = true;
  EXPECT_EQ(before({vpn}), "100: not from all fwmark 0xca6c lookup 2\n");
  auto others = lookup(100, 2);
  others.from = net("10.41.0.0/16");
  others.invert = true;
  EXPECT_EQ(before({others}), "") << "all pods are in it";
}

TEST(RuleOrder, RulesForOthersAreNoTrouble) {
  for (const auto* device : {"lo", "cw-wg", "cw-vx"}) {
    auto rule = lookup(100, 2);
    rule.iif = device;
    EXPECT_EQ(before({rule}), "") << device;
  }
  auto bound = lookup(100, 2);
  bound.oif = "eth1";
  auto user = lookup(100, 2);
  user.special = true;
  EXPECT_EQ(before({bound, user}), "");
  auto pods = lookup(100, 2);
  pods.iif = "eni1";
  EXPECT_EQ(before({pods}), "100: from all iif eni1 lookup 2\n");
}

TEST(RuleOrder, ARuleThatRefusesOrJumpsPastOursCounts) {
  AnyRule refuses;
  refuses.family = Family::kV6;
  refuses.priority = 600;
  refuses.action = AnyRule::Action::kRefuse;
  EXPECT_EQ(before({refuses}), "600: from all unreachable\n");
  AnyRule jump;
  jump.priority = 600;
  jump.action = AnyRule::Action::kGoTo;
  jump.table = 32766;
  EXPECT_EQ(before({jump}), "600: from all goto 32766\n");
  jump.table = 7000;
  EXPECT_EQ(before({jump}), "") << "it lands before ours";
}

TEST(RuleOrder, ARuleForWhatOtherHostsSendTakesNoPodsPacket) {
  auto rule = lookup(200, 2);
  rule.iif = "eth1";
  const std::vector<netlink::Link> links = {{2, "eth1", "", 1500, true, {}},
                                            {3, "bond0", "bond", 1500, true, {}},
                                            {4, "cni0", "bridge", 1500, true, {}},
                                            {5, "veth7", "veth", 1500, true, {}}};
  const auto outside = outside_of(links);
  EXPECT_EQ(outside, (Devices{"bond0", "eth1"}));
  EXPECT_TRUE(
      rules_before(std::vector{rule}, kLate, kPods, kRemotes, destinations, outside).empty());
  rule.iif = "cni0";
  EXPECT_EQ(rules_before(std::vector{rule}, kLate, kPods, kRemotes, destinations, outside).size(),
            1U);
}

TEST(RuleOrder, OursStandBeforeThoseOfCnisThatMatchPods) {
  for (const auto priority : {111U, 512U, 1024U, 1536U}) {
    const auto rule = lookup(priority, 2);
    EXPECT_TRUE(rules_before(std::vector{rule}, {}, kPods, kRemotes, destinations).empty());
    EXPECT_FALSE(rules_before(std::vector{rule}, kLate, kPods, kRemotes, destinations).empty());
  }
}

TEST(RuleOrder, ARuleWithoutAPriorityGetsOneBeforeOurs) {
  auto unnumbered = lookup(netlink::kBypassPriority - 1, 77);  // as Linux does; kube-router's
  unnumbered.from = net("10.41.3.0/24");
  const auto pods_only = [](Family, std::uint32_t) { return std::vector{net("10.41.0.0/16")}; };
  EXPECT_TRUE(rules_before(std::vector{unnumbered}, {}, kPods, kRemotes, pods_only).empty());
  const auto everything = [](Family, std::uint32_t) { return std::vector{net("0.0.0.0/0")}; };
  EXPECT_EQ(rules_before(std::vector{unnumbered}, {}, kPods, kRemotes, everything).size(), 1U);
}

TEST(RuleOrder, CiliumsRulesForItsOwnMarksTakeNothing) {
  auto proxy = lookup(9, 2004);
  proxy.mark = 0x200;
  proxy.mask = 0xf00;
  const auto everything = [](Family, std::uint32_t) { return std::vector{net("0.0.0.0/0")}; };
  EXPECT_TRUE(rules_before(std::vector{proxy}, {}, kPods, kRemotes, everything).empty());
}

TEST(RuleOrder, TheComplaintNamesTheRuleAndTheRemedy) {
  EXPECT_EQ(rules_complaint({}, kLate), "");
  EXPECT_EQ(rules_complaint(std::vector{lookup(1536, 2)}, kLate),
            "rules of another program stand before rule 7487, so pods here reach no remote "
            "cluster: \"1536: from all lookup 2\". Set rulePriority to 1530 or less for the route "
            "agents and the gateways");
  const std::vector many(9, lookup(3, 2));
  const auto text = rules_complaint(many, kLate);
  EXPECT_NE(text.find(" and 6 more"), std::string::npos);
  EXPECT_NE(text.find("Give that rule a larger priority"), std::string::npos);
}

}  // namespace
}  // namespace cw::routeagent
