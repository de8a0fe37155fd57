// The laws of the path's reconciler, on a kernel in memory.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "gateway/path/nft.h"
#include "gateway/path/reconcile.h"
#include "netlink/fake/fake_kernel.h"
#include "netlink/owner.h"
#include "tests/gateway/scene.h"

namespace cw::gateway {
namespace {

using netlink::FakeKernel;

const std::string kLink = "cw-wg";

template <typename T>
T all(Result<T> dump) {
  return std::move(*dump);
}

PathInput input(unsigned remotes = 3) {
  PathInput in;
  in.link = kLink;
  in.listen_port = 4500;
  in.control_address = ip("fd12::1");
  in.probe_address = ip("240.1.1.1");
  in.remote_controls = {ip("fd34::1"), ip("fd34::2"), ip("241.2.2.2")};
  in.through = {{ip("245.0.0.1"), ip("241.2.2.2")}, {ip("fd99::1"), ip("fd34::1")}};
  for (unsigned n = 0; n < remotes; ++n) in.remotes.insert(net(fmt::format("10.2.{}.0/24", n)));
  in.remotes.insert(net("fd00:2::/64"));
  in.local = {net("10.1.0.0/24"), net("10.1.1.0/24"), net("fd00:1::/64")};
  return in;
}

void add_tunnel(FakeKernel& kernel) {
  netlink::Link link;
  link.name = kLink;
  link.kind = "wireguard";
  link.mtu = 1500;
  kernel.add_link(link);
  // Another program's, which must survive everything.
  netlink::Link other;
  other.name = "eth0";
  other.up = true;
  kernel.add_link(other);
  kernel.add_address({"eth0", ip("192.0.2.1"), 24});
  EXPECT_TRUE(kernel.apply_nft("table inet others {}\ntable inet others {\n}\n"));
  (void)kernel.take_log();
}

std::string state_of(FakeKernel& kernel) {
  std::string text;
  const auto links = *kernel.all_links();
  for (const auto& link : links) text += fmt::format("{} {} {}\n", link.name, link.mtu, link.up);
  for (const auto& a : all(kernel.all_addresses())) {
    text += fmt::format("{} {}/{}\n", a.link, a.address.to_string(), a.length);
  }
  for (const auto table : {kMainTable, netlink::kTransitTable}) {
    for (const auto& r : all(kernel.dump_routes(table))) {
      text += fmt::format("{} {} {}\n", table, r.dst.to_string(), r.link);
    }
  }
  for (const auto& rule : all(kernel.dump_rules())) {
    text += fmt::format("{} {} {} {}\n", rule.family == Family::kV4, rule.priority, rule.table,
                        rule.iif);
  }
  return text + *kernel.dump_nft(std::string(netlink::kGatewayNftTable));
}

// Hosts hardened after CIS have IPv6 off by default, and may get it switched off at any time.
TEST(Path, TurnsIPv6OnForItsOwnDeviceBeforeItGivesItAnAddress) {
  FakeKernel kernel;
  add_tunnel(kernel);
  const std::string path = "ipv6/conf/cw-wg/disable_ipv6";
  ASSERT_TRUE(kernel.set_sysctl(path, "1"));
  (void)kernel.take_log();
  PathReconciler reconciler(kernel);
  EXPECT_TRUE(reconciler.apply(desired_path(input())).errors.empty());
  const auto log = kernel.take_log();
  EXPECT_LT(log.find("sysctl " + path + " 0"), log.find("fd12::1")) << log;
  ASSERT_TRUE(kernel.set_sysctl(path, "1"));
  EXPECT_GT(reconciler.apply(desired_path(input())).steps, 0U);
  EXPECT_EQ(*kernel.sysctl(path), "0");
}

TEST(Path, MarksWhatRemoteGatewaysSend) {
  const auto state = desired_path(input());
  EXPECT_NE(state.nft.find("udp dport 4500 fib daddr type local meta mark set 0x1057"),
            std::string::npos);
  EXPECT_EQ(state.sysctls.at("ipv4/conf/all/src_valid_mark"), "1");
}

std::string state_of_links(FakeKernel& kernel) {
  std::string text;
  const auto links = *kernel.all_links();
  for (const auto& link : links) text += fmt::format("{} {} {}\n", link.name, link.mtu, link.up);
  for (const auto& a : all(kernel.all_addresses())) text += a.address.to_string() + "\n";
  return text;
}

TEST(Path, ASecondPassIsEmpty) {
  FakeKernel kernel;
  add_tunnel(kernel);
  PathReconciler reconciler(kernel);
  const auto first = reconciler.apply(desired_path(input()));
  EXPECT_TRUE(first.errors.empty()) << fmt::format("{}", fmt::join(first.errors, "; "));
  EXPECT_GT(first.steps, 8U);
  (void)kernel.take_log();
  EXPECT_EQ(reconciler.apply(desired_path(input())), PassReport{});
  EXPECT_EQ(kernel.take_log(), "");
}

TEST(Path, MakesWhatTheDocumentSays) {
  FakeKernel kernel;
  add_tunnel(kernel);
  PathReconciler(kernel).apply(desired_path(input(1)));
  const auto links = *kernel.all_links();
  const auto link =
      std::find_if(links.begin(), links.end(), [](const auto& one) { return one.name == kLink; });
  EXPECT_TRUE(link->up);
  EXPECT_EQ(link->mtu, 1420U);
  std::set<std::string> transit;
  for (const auto& route : all(kernel.dump_routes(netlink::kTransitTable))) {
    EXPECT_EQ(route.link, kLink);
    transit.insert(route.dst.to_string());
  }
  EXPECT_EQ(transit, (std::set<std::string>{"10.2.0.0/24", "241.2.2.2/32", "fd00:2::/64",
                                            "fd34::1/128", "fd34::2/128"}));
  EXPECT_EQ(kernel.dump_routes(kMainTable)->size(), 3U);
  EXPECT_EQ(kernel.dump_rules()->size(), 2U);
  EXPECT_EQ(*kernel.sysctl("ipv4/conf/cw-wg/rp_filter"), "2");
}

TEST(Path, LeavesForwardingToTheRouteAgent) {
  EXPECT_EQ(desired_path(input(1)).sysctls.count("ipv4/ip_forward"), 0U);
  EXPECT_EQ(desired_path(input(1)).sysctls.count("ipv6/conf/all/forwarding"), 0U);
}

TEST(Path, RepairsWhateverWasChanged) {
  const auto desired = desired_path(input());
  FakeKernel clean;
  add_tunnel(clean);
  PathReconciler(clean).apply(desired);
  const auto wanted = state_of(clean);

  FakeKernel kernel;
  add_tunnel(kernel);
  PathReconciler reconciler(kernel);
  reconciler.apply(desired);
  const auto breaks = std::vector<std::function<void()>>{
      [&] { (void)kernel.remove_route(kernel.dump_routes(netlink::kTransitTable)->front()); },
      [&] { (void)kernel.remove_route(kernel.dump_routes(kMainTable)->front()); },
      [&] { (void)kernel.remove_rule(kernel.dump_rules()->front()); },
      [&] { (void)kernel.remove_nft(std::string(netlink::kGatewayNftTable)); },
      [&] { (void)kernel.set_link(kLink, 1280, true); },
      [&] { (void)kernel.set_link(kLink, 1420, false); },
      [&] {
        (void)kernel.remove_address({kLink, ip("fd12::1"), 128});
      },
      [&] {
        (void)kernel.replace_address({kLink, ip("fd99::9"), 128});
      },
      [&] { (void)kernel.set_sysctl("ipv4/conf/cw-wg/rp_filter", "1"); },
      [&] {
        netlink::Route stray;
        stray.table = netlink::kTransitTable;
        stray.dst = net("10.77.0.0/16");
        stray.link = kLink;
        (void)kernel.replace_route(stray);
      },
  };
  for (std::size_t n = 0; n < breaks.size(); ++n) {
    breaks[n]();
    const auto report = reconciler.apply(desired);
    EXPECT_GE(report.steps, 1U) << n;
    EXPECT_TRUE(report.errors.empty()) << n;
    EXPECT_EQ(state_of(kernel), wanted) << n;
    EXPECT_EQ(*kernel.sysctl("ipv4/conf/cw-wg/rp_filter"), "2");
  }
}

TEST(Path, ACrashAfterAnyStepIsRepairedByTheNextPass) {
  const auto desired = desired_path(input());
  FakeKernel clean;
  add_tunnel(clean);
  const auto steps = PathReconciler(clean).apply(desired).steps;
  const auto wanted = state_of(clean);
  for (unsigned n = 0; n < steps; ++n) {
    FakeKernel kernel;
    add_tunnel(kernel);
    kernel.fail_after(n, {Errc::kInternal, "injected"});
    const auto first = PathReconciler(kernel).apply(desired);
    // One step's failure stops no other; without the guard, which is the first, there is no path.
    EXPECT_EQ(first.errors.size(), n == 0 ? 2U : 1U) << n;
    kernel.forget_failures();
    const auto second = PathReconciler(kernel).apply(desired);  // another process
    EXPECT_TRUE(second.errors.empty()) << n;
    EXPECT_EQ(state_of(kernel), wanted) << n;
  }
}

// A gateway whose nft failed opened the host's services to remote clusters.
TEST(Path, WithoutTheGuardNothingArrives) {
  for (const bool unreadable : {false, true}) {
    FakeKernel kernel;
    add_tunnel(kernel);
    PathReconciler reconciler(kernel);
    const auto desired = desired_path(input());
    kernel.nft_unreadable = unreadable;
    if (!unreadable) kernel.fail_next({Errc::kInternal, "nft: no such file"});
    const auto before = state_of_links(kernel);
    const auto report = reconciler.apply(desired);
    ASSERT_EQ(report.errors.size(), 2U);
    EXPECT_NE(report.errors[1].find("cw-wg gets no address and no route"), std::string::npos);
    EXPECT_EQ(state_of_links(kernel), before);
    EXPECT_TRUE(kernel.dump_routes(netlink::kTransitTable)->empty());
    EXPECT_TRUE(kernel.dump_rules()->empty());
    kernel.nft_unreadable = false;
    EXPECT_TRUE(reconciler.apply(desired).errors.empty());
    EXPECT_NE(state_of_links(kernel), before);

    // Where it stood once, or an earlier process left it, nft's fault stops nothing else.
    const auto break_both = [&] {
      (void)kernel.remove_address({kLink, ip("fd12::1"), 128});
      if (unreadable) {
        kernel.nft_unreadable = true;
      } else {
        kernel.fail_next({Errc::kInternal, "nft: no such file"});
      }
    };
    auto other = input();
    other.feed_connections = 9;
    break_both();
    EXPECT_EQ(reconciler.apply(desired_path(other)).errors.size(), 1U);
    const auto addresses = *kernel.all_addresses();
    EXPECT_NE(
        std::find(addresses.begin(), addresses.end(), netlink::Address{kLink, ip("fd12::1"), 128}),
        addresses.end());
    kernel.nft_unreadable = false;
    if (unreadable) continue;
    break_both();
    EXPECT_EQ(PathReconciler(kernel).apply(desired_path(other)).errors.size(), 1U);
  }
}

TEST(Path, GoesFromAnyStateToAnyOther) {
  std::mt19937 dice(3);
  FakeKernel kernel;
  add_tunnel(kernel);
  PathReconciler reconciler(kernel);
  for (int round = 0; round < 100; ++round) {
    auto in = input(static_cast<unsigned>(dice() % 8));
    if (dice() % 2 == 0) in.remote_controls.erase(ip("fd34::2"));
    if (dice() % 3 == 0) in.local.clear();
    if (dice() % 5 == 0) in.control_address = ip("fd12::2");
    if (dice() % 5 == 0) in.probe_address = ip("250.1.1.1");
    if (dice() % 5 == 0) in.through.clear();
    EXPECT_TRUE(reconciler.apply(desired_path(in)).errors.empty());
    FakeKernel fresh;
    add_tunnel(fresh);
    PathReconciler(fresh).apply(desired_path(in));
    ASSERT_EQ(state_of(kernel), state_of(fresh)) << round;
    ASSERT_EQ(reconciler.apply(desired_path(in)), PassReport{});
  }
}

// 5,000 prefixes of a peer come and go in passes that are short, and in between the path is good
// for what it has.
TEST(Path, ManyRoutesChangeInSlices) {
  FakeKernel kernel;
  add_tunnel(kernel);
  PathReconciler reconciler(kernel);
  auto many = input();
  for (unsigned n = 0; n < 5000; ++n) {
    many.remotes.insert(net(fmt::format("10.7.{}.{}/32", n / 250, n % 250)));
  }
  for (const auto& in : {many, input()}) {
    const auto desired = desired_path(in);
    std::size_t passes = 0;
    for (bool more = true; more; ++passes) {
      ASSERT_LT(passes, 40U);
      const auto report = reconciler.apply(desired);
      EXPECT_TRUE(report.errors.empty());
      EXPECT_LE(report.steps, kRoutesAtOnce + 10);
      more = report.more;
    }
    EXPECT_GE(passes, 5000 / kRoutesAtOnce);
    EXPECT_EQ(reconciler.apply(desired), PassReport{});
    EXPECT_EQ(kernel.dump_routes(netlink::kTransitTable)->size(), in.remotes.size() + 3);
  }
}

TEST(Path, RemovalLeavesNothingAndOthersStateAlone) {
  FakeKernel kernel;
  add_tunnel(kernel);
  PathReconciler(kernel).apply(desired_path(input()));
  EXPECT_TRUE(remove_path(kernel, kLink).errors.empty());
  EXPECT_TRUE(kernel.dump_routes(kMainTable)->empty());
  EXPECT_TRUE(kernel.dump_routes(netlink::kTransitTable)->empty());
  EXPECT_TRUE(kernel.dump_rules()->empty());
  EXPECT_EQ(*kernel.dump_nft(std::string(netlink::kGatewayNftTable)), "");
  EXPECT_NE(*kernel.dump_nft("others"), "");
  EXPECT_TRUE(kernel.has_link("eth0"));
  (void)kernel.take_log();
  EXPECT_EQ(remove_path(kernel, kLink), PassReport{});  // twice is no error
  EXPECT_EQ(kernel.take_log(), "");
}

TEST(Path, TouchesNoRulesOrRoutesOfTheRouteAgent) {
  FakeKernel kernel;
  add_tunnel(kernel);
  const netlink::Rule rule{Family::kV4, netlink::kToRemotePriority, netlink::kToRemoteTable, ""};
  ASSERT_TRUE(kernel.add_rule(rule));
  netlink::Route route;
  route.table = netlink::kToRemoteTable;
  route.dst = net("10.2.0.0/24");
  route.type = netlink::RouteType::kUnreachable;
  ASSERT_TRUE(kernel.replace_route(route));
  PathReconciler(kernel).apply(desired_path(input()));
  remove_path(kernel, kLink);
  EXPECT_EQ(*kernel.dump_rules(), std::vector<netlink::Rule>{rule});
  EXPECT_EQ(kernel.dump_routes(netlink::kToRemoteTable)->size(), 1U);
}

TEST(Path, WithoutTheDeviceItSaysSo) {
  FakeKernel kernel;
  const auto report = PathReconciler(kernel).apply(desired_path(input()));
  ASSERT_FALSE(report.errors.empty());
  EXPECT_NE(fmt::format("{}", fmt::join(report.errors, "; ")).find("no device cw-wg"),
            std::string::npos);
}

TEST(NftTable, IsAsReviewed) {
  auto in = input(1);
  in.local = {net("10.1.0.0/24"), net("10.1.0.0/16"), net("fd00:1::/64")};
  const auto text = nft_table(in);
  const std::string path = std::string(CW_SOURCE_DIR) + "/tests/golden/gateway_path.nft";
  if (std::getenv("UPDATE_GOLDEN") != nullptr) std::ofstream(path) << text;
  std::ifstream file(path);
  std::stringstream golden;
  golden << file.rdbuf();
  EXPECT_EQ(text, golden.str());
}

// H6: 17,644 connections in 12 s cost the traffic of others a second.
TEST(NftTable, LimitsNewConnectionsToTheFeedBySource) {
  auto in = input();
  in.feed_connections = 7;
  const auto text = nft_table(in);
  EXPECT_NE(text.find("chain feed-calls-1 {\n\t\tlimit rate over 7/second burst 28 packets drop"),
            std::string::npos)
      << text;
  EXPECT_NE(
      text.find("ip6 saddr vmap { fd34::1 : jump feed-calls-0, fd34::2 : jump feed-calls-1 }"),
      std::string::npos)
      << text;
  // Before what accepts, so that it is asked.
  EXPECT_LT(text.find("jump feed-calls\n"), text.find("ip6 daddr fd12::1 accept")) << text;
  in.remote_controls.clear();
  EXPECT_EQ(nft_table(in).find("vmap"), std::string::npos);
}

TEST(NftTable, HasNoRuleThatASourcePortOpens) {
  auto in = input();
  const auto text = nft_table(in);
  const auto guard = text.substr(text.find("chain from-tunnel"));
  EXPECT_EQ(guard.substr(0, guard.find('}')).find("sport"), std::string::npos) << text;
  // The one rule with a source port is for answers to what the gateway itself translated.
  const auto at = text.find("sport");
  ASSERT_NE(at, std::string::npos);
  EXPECT_EQ(text.substr(at, text.find('\n', at) - at), "sport 4795 ct status dnat accept");
  EXPECT_EQ(text.find("sport", at + 1), std::string::npos);
}

TEST(NftTable, TakesTheGatewaysPortsFromRemoteGatewaysOnly) {
  const auto text = nft_table(input());
  std::istringstream lines(text);
  std::size_t ports = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.find(" dport ") == std::string::npos || line.find("accept") == std::string::npos ||
        line.find("ct status dnat") != std::string::npos) {
      continue;
    }
    ++ports;
    EXPECT_NE(line.find("saddr @gateways"), std::string::npos) << line;
    EXPECT_TRUE(line.find("daddr fd12::1 ") != std::string::npos ||
                line.find("daddr 240.1.1.1 ") != std::string::npos)
        << line;
  }
  EXPECT_EQ(ports, 3U);
}

TEST(NftTable, WithoutRemotesAndPodsItIsStillATable) {
  auto in = input();
  in.local.clear();
  in.remote_controls.clear();
  in.through.clear();
  EXPECT_EQ(nft_table(in).find("{  }"), std::string::npos) << nft_table(in);
}

TEST(NftTable, SendsNodesProbesOnFromItsOwnAddress) {
  const auto text = nft_table(input());
  EXPECT_NE(text.find("iifname \"cw-vx\" udp dport 4795 dnat ip to ip daddr map "
                      "{ 245.0.0.1 : 241.2.2.2 }"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("dnat ip6 to ip6 daddr map { fd99::1 : fd34::1 }"), std::string::npos);
  // Only what was translated: pods' own traffic to that port is not touched.
  EXPECT_NE(text.find("oifname \"cw-wg\" udp dport 4795 ct status dnat meta nfproto ipv4 snat ip "
                      "to 240.1.1.1:10000-65535"),
            std::string::npos);
}

}  // namespace
}  // namespace cw::gateway
