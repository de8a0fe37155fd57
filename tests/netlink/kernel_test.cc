// The Kernel's contract, on the kernel in memory and on Linux (in a network namespace of its own).
#include <gtest/gtest.h>
#include <sched.h>

#include <algorithm>
#include <cstdlib>
#include <thread>

#include "base/event_loop.h"
#include "base/fake/sim_loop.h"
#include "netlink/fake/fake_kernel.h"
#include "netlink/owner.h"
#include "netlink/rtnl/rtnl_kernel.h"

namespace cw::netlink {
namespace {

IpAddress ip(const char* text) { return *IpAddress::parse(text); }
Prefix p(const char* text) { return *Prefix::parse(text); }

class FakeWorld : public testing::Test {
 protected:
  FakeWorld() {
    kernel_.add_link({0, "veth0", "veth", 1500, true, {}});
    kernel_.add_address({"veth0", ip("192.0.2.1"), 24});
  }
  Kernel& kernel() { return kernel_; }
  void foreign() {}
  void default_router() { kernel_.foreign_routes.routers = {ip("198.51.100.1")}; }
  void wait(const std::function<bool()>& done) { EXPECT_TRUE(done()); }
  void poke() { kernel_.notify(); }
  FakeKernel kernel_;
};

// Each test has a namespace of its own, because it unshares its thread's.
class LinuxWorld : public testing::Test {
 protected:
  LinuxWorld() {
    EXPECT_EQ(unshare(CLONE_NEWNET), 0) << "needs root";
    run("ip link set lo up");
    run("ip link add veth0 type veth peer name veth1");
    run("ip link set veth0 up");
    run("ip link set veth1 up");
    run("ip addr add 192.0.2.1/24 dev veth0");
    auto opened = RtnlKernel::open(loop_);
    EXPECT_TRUE(opened) << opened.error().text;
    kernel_ = std::move(*opened);
  }
  Kernel& kernel() { return *kernel_; }
  // A default router that no connected route covers, as in clouds.
  void default_router() { run("ip route add default via 198.51.100.1 dev veth0 onlink"); }
  // State of another program: the Kernel must neither show nor change it.
  void foreign() {
    run("ip route add 203.0.113.0/24 dev veth0 table 7487");
    run("ip rule add priority 99 table 99");
    run("ip nexthop add id 5 dev veth0");
  }
  void wait(const std::function<bool()>& done) {
    const auto poll = loop_.every(std::chrono::milliseconds(1), [&] {
      if (done()) loop_.stop();
    });
    const auto limit = loop_.after(std::chrono::seconds(5), [&] { loop_.stop(); });
    loop_.run();
    EXPECT_TRUE(done());
  }
  void poke() { run("ip link set veth0 mtu 1400"); }
  static void run(const std::string& command) {
    EXPECT_EQ(std::system(command.c_str()), 0) << command;  // NOLINT: fixed text
  }
  EventLoop loop_;
  std::unique_ptr<RtnlKernel> kernel_;
};

template <typename World>
class KernelContract : public World {};
using Worlds = testing::Types<FakeWorld, LinuxWorld>;
TYPED_TEST_SUITE(KernelContract, Worlds);

VxlanSpec vxlan() {
  return {"cw-vx", 17239, kVxlanPort, ip("192.0.2.1"), 1420, {2, 0, 0, 0, 0, 1}};
}

TYPED_TEST(KernelContract, VxlanIsMadeChangedInPlaceAndRemoved) {
  auto& kernel = this->kernel();
  EXPECT_FALSE(kernel.dump_vxlan("cw-vx")->has_value());
  ASSERT_TRUE(kernel.replace_vxlan(vxlan()));
  EXPECT_EQ(**kernel.dump_vxlan("cw-vx"), vxlan());
  const auto index_of = [&] {
    const auto links = *kernel.all_links();
    return std::find_if(links.begin(), links.end(), [](const Link& l) { return l.name == "cw-vx"; })
        ->index;
  };
  const auto index = index_of();
  auto changed = vxlan();
  changed.mtu = 1300;
  changed.mac = {2, 0, 0, 0, 0, 2};
  ASSERT_TRUE(kernel.replace_vxlan(changed));
  EXPECT_EQ(**kernel.dump_vxlan("cw-vx"), changed);
  EXPECT_EQ(index_of(), index);
  changed.port = 4800;
  ASSERT_TRUE(kernel.replace_vxlan(changed));
  EXPECT_EQ(**kernel.dump_vxlan("cw-vx"), changed);
  ASSERT_TRUE(kernel.remove_link("cw-vx", "vxlan"));
  ASSERT_TRUE(kernel.remove_link("cw-vx", "vxlan"));
  EXPECT_FALSE(kernel.dump_vxlan("cw-vx")->has_value());
}

TYPED_TEST(KernelContract, ConnectedNetworksAndDefaultRoutersAreNamed) {
  auto& kernel = this->kernel();
  this->foreign();
  ASSERT_TRUE(kernel.replace_vxlan(vxlan()));
  ASSERT_TRUE(kernel.replace_address({"cw-vx", ip("fd00:77::1"), 64}));
  auto connected = kernel.all_connected();
  ASSERT_TRUE(connected);
  std::erase_if(connected->networks,
                [](const Prefix& one) { return one.address().is_link_local(); });
  EXPECT_EQ(*connected, (Connected{{p("192.0.2.0/24")}, {}}));
  this->default_router();
  EXPECT_EQ(kernel.all_connected()->routers, std::vector<IpAddress>{ip("198.51.100.1")});
}

TYPED_TEST(KernelContract, ALinkOfAnotherKindIsLeftAlone) {
  auto& kernel = this->kernel();
  EXPECT_EQ(kernel.remove_link("veth0", "vxlan").error().code, Errc::kExists);
  EXPECT_EQ(kernel.dump_vxlan("veth0").error().code, Errc::kExists);
  auto spec = vxlan();
  spec.name = "veth0";
  EXPECT_EQ(kernel.replace_vxlan(spec).error().code, Errc::kExists);
}

TYPED_TEST(KernelContract, NeighboursAndForwardingEntriesComeAndGo) {
  auto& kernel = this->kernel();
  ASSERT_TRUE(kernel.replace_vxlan(vxlan()));
  const Neighbour a{ip("fe80::1"), {2, 0, 0, 0, 0, 5}};
  const Neighbour moved{ip("fe80::1"), {2, 0, 0, 0, 0, 6}};
  ASSERT_TRUE(kernel.replace_neighbour("cw-vx", a));
  ASSERT_TRUE(kernel.replace_neighbour("cw-vx", moved));
  EXPECT_EQ(*kernel.dump_neighbours("cw-vx"), std::vector<Neighbour>{moved});
  ASSERT_TRUE(kernel.remove_neighbour("cw-vx", moved));
  ASSERT_TRUE(kernel.remove_neighbour("cw-vx", moved));
  EXPECT_TRUE(kernel.dump_neighbours("cw-vx")->empty());
  const FdbEntry f{{2, 0, 0, 0, 0, 5}, ip("192.0.2.9")};
  const FdbEntry f2{{2, 0, 0, 0, 0, 5}, ip("192.0.2.10")};
  ASSERT_TRUE(kernel.replace_fdb("cw-vx", f));
  ASSERT_TRUE(kernel.replace_fdb("cw-vx", f));
  EXPECT_EQ(*kernel.dump_fdb("cw-vx"), std::vector<FdbEntry>{f});
  ASSERT_TRUE(kernel.replace_fdb("cw-vx", f2));
  EXPECT_EQ(*kernel.dump_fdb("cw-vx"), std::vector<FdbEntry>{f2});
  ASSERT_TRUE(kernel.remove_fdb("cw-vx", f2));
  ASSERT_TRUE(kernel.remove_fdb("cw-vx", f2));
  EXPECT_TRUE(kernel.dump_fdb("cw-vx")->empty());
  EXPECT_FALSE(kernel.replace_fdb("nolink", f));
}

TYPED_TEST(KernelContract, NexthopsAreReplacedInPlaceUnderTheirRoutes) {
  auto& kernel = this->kernel();
  this->foreign();
  ASSERT_TRUE(kernel.replace_vxlan(vxlan()));
  const Nexthop over{kNexthopBase + 1, "cw-vx", ip("fe80::1"), Family::kV6, false};
  ASSERT_TRUE(kernel.replace_nexthop(over));
  Route v4{kToRemoteTable,
           p("10.9.0.0/16"),
           RouteType::kUnicast,
           kNexthopBase + 1,
           "",
           {},
           ip("192.0.2.1"),
           1400,
           0};
  Route v6{kToRemoteTable, p("fd99::/48"), RouteType::kUnicast, kNexthopBase + 1, "", {}, {}, 0, 0};
  ASSERT_TRUE(kernel.replace_route(v4)) << kernel.replace_route(v4).error().text;
  ASSERT_TRUE(kernel.replace_route(v6)) << kernel.replace_route(v6).error().text;
  auto direct = over;
  direct.gateway = ip("fe80::2");
  ASSERT_TRUE(kernel.replace_nexthop(direct));
  ASSERT_TRUE(kernel.replace_nexthop(direct));
  EXPECT_EQ(*kernel.dump_nexthops(), std::vector<Nexthop>{direct});
  EXPECT_EQ(*kernel.dump_routes(kToRemoteTable), (std::vector<Route>{v4, v6}));
  ASSERT_TRUE(kernel.remove_route(v4));
  ASSERT_TRUE(kernel.remove_route(v4));
  ASSERT_TRUE(kernel.remove_nexthop(kNexthopBase + 1));  // the other route goes with it
  ASSERT_TRUE(kernel.remove_nexthop(kNexthopBase + 1));
  EXPECT_TRUE(kernel.dump_routes(kToRemoteTable)->empty());
  EXPECT_TRUE(kernel.dump_nexthops()->empty());
}

TYPED_TEST(KernelContract, ADeviceThatGoesTakesItsNexthopsAndRoutesAlong) {
  auto& kernel = this->kernel();
  const Nexthop over{kNexthopBase + 1, "cw-vx", ip("fe80::1"), Family::kV6, false};
  Route by_nexthop{
      kToRemoteTable, p("10.9.0.0/16"), RouteType::kUnicast, over.id, "", {}, {}, 0, 0};
  Route direct{kTransitTable, p("10.8.0.0/16"), RouteType::kUnicast, 0, "cw-vx", {}, {}, 0, 0};
  const auto make = [&] {
    ASSERT_TRUE(kernel.replace_vxlan(vxlan()));
    ASSERT_TRUE(kernel.replace_neighbour("cw-vx", {ip("fe80::1"), {2, 0, 0, 0, 0, 5}}));
    ASSERT_TRUE(kernel.replace_fdb("cw-vx", {{2, 0, 0, 0, 0, 5}, ip("192.0.2.9")}));
    ASSERT_TRUE(kernel.replace_nexthop(over));
    ASSERT_TRUE(kernel.replace_route(by_nexthop));
    ASSERT_TRUE(kernel.replace_route(direct));
  };
  const auto expect_gone = [&] {
    EXPECT_TRUE(kernel.dump_nexthops()->empty());
    EXPECT_TRUE(kernel.dump_routes(kToRemoteTable)->empty());
    EXPECT_TRUE(kernel.dump_routes(kTransitTable)->empty());
  };
  make();
  ASSERT_TRUE(kernel.set_link("cw-vx", 1420, false));
  expect_gone();
  make();
  ASSERT_TRUE(kernel.remove_link("cw-vx", "vxlan"));
  expect_gone();
  ASSERT_TRUE(kernel.replace_vxlan(vxlan()));
  EXPECT_TRUE(kernel.dump_neighbours("cw-vx")->empty());
  EXPECT_TRUE(kernel.dump_fdb("cw-vx")->empty());
}

TYPED_TEST(KernelContract, ARouteNeedsItsNexthopItsDeviceAndItsSource) {
  auto& kernel = this->kernel();
  Route route{
      kToRemoteTable, p("10.9.0.0/16"), RouteType::kUnicast, kNexthopBase, "", {}, {}, 0, 0};
  EXPECT_FALSE(kernel.replace_route(route));
  EXPECT_FALSE(kernel.replace_nexthop({kNexthopBase, "nolink", {}, Family::kV4, false}));
  route.nexthop_id = 0;
  route.link = "nolink";
  EXPECT_FALSE(kernel.replace_route(route));
  route.link = "veth0";
  route.prefer_src = ip("10.77.0.1");
  EXPECT_FALSE(kernel.replace_route(route)) << "no address of this host";
  route.prefer_src = ip("192.0.2.1");
  EXPECT_TRUE(kernel.replace_route(route));
}

TYPED_TEST(KernelContract, RoutesOfEveryTypeReadBackAsWritten) {
  auto& kernel = this->kernel();
  ASSERT_TRUE(kernel.replace_vxlan(vxlan()));
  std::vector<Route> routes = {
      {kFromTunnelTable, p("0.0.0.0/0"), RouteType::kUnreachable, 0, "", {}, {}, 0, 0},
      {kFromTunnelTable, p("10.1.0.0/24"), RouteType::kThrow, 0, "", {}, {}, 0, 0},
      {kFromTunnelTable,
       p("10.1.1.0/24"),
       RouteType::kUnicast,
       0,
       "cw-vx",
       ip("fe80::1"),
       {},
       0,
       0},
      {kFromTunnelTable, p("10.1.2.0/24"), RouteType::kUnicast, 0, "cw-vx", {}, {}, 0, 7},
      {kFromTunnelTable, p("::/0"), RouteType::kUnreachable, 0, "", {}, {}, 0, 0},
      {kFromTunnelTable, p("fd01::/64"), RouteType::kUnicast, 0, "cw-vx", ip("fe80::1"), {}, 0, 0},
      {kFromTunnelTable, p("fd02::/64"), RouteType::kBlackhole, 0, "", {}, {}, 0, 0},
  };
  for (const auto& route : routes) {
    const auto ok = kernel.replace_route(route);
    ASSERT_TRUE(ok) << route.dst.to_string() << ": " << ok.error().text;
    ASSERT_TRUE(kernel.replace_route(route)) << "twice";
  }
  auto have = *kernel.dump_routes(kFromTunnelTable);
  const auto by_prefix = [](const Route& a, const Route& b) { return a.dst < b.dst; };
  std::sort(have.begin(), have.end(), by_prefix);
  std::sort(routes.begin(), routes.end(), by_prefix);
  ASSERT_EQ(have.size(), routes.size());
  for (std::size_t i = 0; i < have.size(); ++i)
    EXPECT_EQ(have[i], routes[i]) << routes[i].dst.to_string();
  EXPECT_TRUE(kernel.dump_routes(kTransitTable)->empty());
  for (const auto& route : routes) ASSERT_TRUE(kernel.remove_route(route));
  EXPECT_TRUE(kernel.dump_routes(kFromTunnelTable)->empty());
}

TYPED_TEST(KernelContract, RulesOfBothFamilies) {
  auto& kernel = this->kernel();
  this->foreign();
  const Rule a{Family::kV4, kTransitPriority, kTransitTable, "cw-vx"};
  const Rule b{Family::kV6, kToRemotePriority, kToRemoteTable, ""};
  ASSERT_TRUE(kernel.add_rule(a));
  ASSERT_TRUE(kernel.add_rule(a));
  ASSERT_TRUE(kernel.add_rule(b));
  EXPECT_EQ(*kernel.dump_rules(), (std::vector<Rule>{a, b}));
  ASSERT_TRUE(kernel.remove_rule(a));
  ASSERT_TRUE(kernel.remove_rule(a));
  ASSERT_TRUE(kernel.remove_rule(b));
  EXPECT_TRUE(kernel.dump_rules()->empty());
}

TYPED_TEST(KernelContract, ARuleTakesMarkedPacketsPastOthers) {
  auto& kernel = this->kernel();
  Rule bypass{Family::kV4, kBypassPriority, 0, ""};
  bypass.mark = kTunnelMark;
  bypass.go_to = kLandingPriority;
  Rule landing{Family::kV4, kLandingPriority, 0, ""};
  landing.nop = true;
  ASSERT_TRUE(kernel.add_rule(bypass)) << "before its target is there";
  ASSERT_TRUE(kernel.add_rule(landing));
  ASSERT_TRUE(kernel.add_rule(landing)) << "twice";
  EXPECT_EQ(*kernel.dump_rules(), (std::vector<Rule>{bypass, landing}));
  const auto all = *kernel.all_rules();
  for (const auto& rule : {bypass, landing}) {
    EXPECT_EQ(std::count(all.begin(), all.end(), any_rule(rule)), 1);
  }
  ASSERT_TRUE(kernel.remove_rule(landing));
  ASSERT_TRUE(kernel.remove_rule(bypass));
  EXPECT_TRUE(kernel.dump_rules()->empty());
}

TYPED_TEST(KernelContract, RulesThatRefuseADestination) {
  auto& kernel = this->kernel();
  this->foreign();
  const Rule whole{Family::kV4, kClosedPriority, 0, "", p("10.9.0.0/16"), true};
  const Rule half{Family::kV4, kClosedPriority, 0, "", p("10.9.0.0/17"), true};
  const Rule v6{Family::kV6, kClosedPriority, 0, "", p("fd09::/48"), true};
  const Rule to_table{Family::kV6, kToRemotePriority, kToRemoteTable, "", p("fd09::/48"), false};
  std::vector<Rule> rules{whole, half, v6, to_table};
  for (const auto& rule : rules) {
    ASSERT_TRUE(kernel.add_rule(rule));
    ASSERT_TRUE(kernel.add_rule(rule)) << "twice";
  }
  auto have = *kernel.dump_rules();
  std::sort(have.begin(), have.end());
  std::sort(rules.begin(), rules.end());
  EXPECT_EQ(have, rules);
  ASSERT_TRUE(kernel.remove_rule(half));
  ASSERT_TRUE(kernel.remove_rule(half)) << "twice";
  have = *kernel.dump_rules();
  EXPECT_EQ(std::count(have.begin(), have.end(), whole), 1) << "the longer one went, this did not";
  for (const auto& rule : rules) ASSERT_TRUE(kernel.remove_rule(rule));
  EXPECT_TRUE(kernel.dump_rules()->empty());
}

TYPED_TEST(KernelContract, AddressesOfALink) {
  auto& kernel = this->kernel();
  const Address address{"veth0", ip("fd00::7"), 128};
  const auto has = [&] {
    const auto all = *kernel.all_addresses();
    return std::find(all.begin(), all.end(), address) != all.end();
  };
  ASSERT_TRUE(kernel.replace_address(address));
  ASSERT_TRUE(kernel.replace_address(address));
  EXPECT_TRUE(has());
  ASSERT_TRUE(kernel.remove_address(address));
  ASSERT_TRUE(kernel.remove_address(address));
  EXPECT_FALSE(has());
}

TYPED_TEST(KernelContract, NftTablesAreSwappedAtomically) {
  auto& kernel = this->kernel();
  const auto text = [](const char* body) {
    return std::string(
               "add table inet causeway\ndelete table inet causeway\ntable inet causeway {\n") +
           body + "\n}\n";
  };
  EXPECT_EQ(*kernel.dump_nft("causeway"), "");
  ASSERT_TRUE(kernel.apply_nft(text("chain a { }")));
  EXPECT_NE(kernel.dump_nft("causeway")->find("chain a"), std::string::npos);
  ASSERT_TRUE(kernel.apply_nft(text("chain b { }")));
  EXPECT_EQ(kernel.dump_nft("causeway")->find("chain a"), std::string::npos);
  ASSERT_TRUE(kernel.remove_nft("causeway"));
  ASSERT_TRUE(kernel.remove_nft("causeway"));
  EXPECT_EQ(*kernel.dump_nft("causeway"), "");
}

TYPED_TEST(KernelContract, SysctlsAreWrittenOnlyIfTheyDiffer) {
  auto& kernel = this->kernel();
  ASSERT_TRUE(kernel.set_sysctl("ipv4/ip_forward", "1"));
  EXPECT_EQ(*kernel.sysctl("ipv4/ip_forward"), "1");
  ASSERT_TRUE(kernel.set_sysctl("ipv4/ip_forward", "1"));
  EXPECT_FALSE(kernel.sysctl("ipv4/conf/nolink/rp_filter"));
  EXPECT_TRUE(kernel.sysctl("ipv4/conf/veth0/rp_filter"));
}

TYPED_TEST(KernelContract, ChangesAreTold) {
  int calls = 0;
  const auto handle = this->kernel().on_change([&] { ++calls; });
  this->poke();
  this->wait([&] { return calls > 0; });
}

using LinuxKernel = LinuxWorld;

TEST_F(LinuxKernel, EveryRouterOfADefaultRouteIsNamed) {
  run("ip route add default nexthop via 192.0.2.7 nexthop via 192.0.2.8");
  run("ip -6 addr add fd00:1::1/64 dev veth0 nodad");
  run("ip -6 route add default via fd00:1::9");
  const auto connected = kernel().all_connected();
  ASSERT_TRUE(connected);
  EXPECT_EQ(connected->routers,
            (std::vector<IpAddress>{ip("192.0.2.7"), ip("192.0.2.8"), ip("fd00:1::9")}));
}

TEST_F(LinuxKernel, SingleAddressesBehindAVethAreNamedAsPods) {
  run("ip link add br0 type bridge");
  run("ip link set br0 up");
  run("ip route add 10.9.9.9/32 dev veth0 scope link");
  run("ip -6 route add fd00:9::9/128 dev veth0");
  run("ip route add 10.9.8.0/24 dev veth0 scope link");
  run("ip route add 10.9.7.7/32 dev br0 scope link");
  run("ip route add 10.9.6.6/32 via 192.0.2.7");
  const auto connected = kernel().all_connected();
  ASSERT_TRUE(connected);
  EXPECT_EQ(connected->pods, (std::vector<std::pair<IpAddress, std::string>>{
                                 {ip("10.9.9.9"), "veth0"}, {ip("fd00:9::9"), "veth0"}}));
}

TEST_F(LinuxKernel, SysctlsThatOtherProgramsChangeAreTold) {
  for (const std::string name :
       {"net.ipv4.conf.veth0.rp_filter", "net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"}) {
    int calls = 0;
    const auto handle = kernel().on_change([&] { ++calls; });
    run("sysctl -qw " + name + "=0 " + name + "=1");
    wait([&] { return calls > 0; });
  }
}

TEST_F(LinuxKernel, BaseChainsOfOtherProgramsAreRead) {
  EXPECT_TRUE(kernel().all_base_chains()->empty());
  run("nft 'table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop; "
      "iifname \"eth0\" accept; }; chain INPUT { type filter hook input priority 0; policy drop; "
      "}; "
      "chain plain { }; }'");
  run("nft 'table inet known { chain f { type filter hook forward priority 5; policy drop; "
      "jump more; }; chain more { iifname \"cw-vx\" accept; }; }'");
  run("nft 'table ip6 nat { chain out { type nat hook postrouting priority -20; }; }'");
  run("nft 'table inet causeway { chain f { type filter hook forward priority 0; }; }'");
  run("nft 'table bridge b { chain f { type filter hook forward priority 0; }; }'");
  using Hook = BaseChain::Hook;
  EXPECT_EQ(
      *kernel().all_base_chains(),
      (std::vector<BaseChain>{{"inet", "known", "f", Hook::kForward, 5, true, true},
                              {"ip", "filter", "FORWARD", Hook::kForward, 0, true, false},
                              {"ip6", "nat", "out", Hook::kPostroutingNat, -20, false, false}}));
}

TEST_F(LinuxKernel, SysctlPathsStayInsideNet) {
  EXPECT_EQ(kernel().sysctl("../kernel/hostname").error().code, Errc::kInvalid);
  EXPECT_EQ(kernel().sysctl("/etc/passwd").error().code, Errc::kInvalid);
}

TEST_F(LinuxKernel, AnNftProblemIsOneLine) {
  const auto bad = kernel().apply_nft("table inet causeway { chain x { nonsense } }\n");
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().code, Errc::kInvalid);
  EXPECT_EQ(bad.error().text.find('\n'), std::string::npos);
}

TEST_F(LinuxKernel, AThousandRoutesUnderOneNexthop) {
  ASSERT_TRUE(kernel().replace_vxlan(vxlan()));
  ASSERT_TRUE(kernel().replace_nexthop({kNexthopBase, "cw-vx", ip("fe80::1"), Family::kV6, false}));
  for (unsigned i = 0; i < 1000; ++i) {
    const auto dst = *Prefix::of(
        IpAddress::v4({10, static_cast<std::uint8_t>(i >> 8U), static_cast<std::uint8_t>(i), 0}),
        24);
    ASSERT_TRUE(kernel().replace_route(
        {kToRemoteTable, dst, RouteType::kUnicast, kNexthopBase, "", {}, {}, 0, 0}));
  }
  EXPECT_EQ(kernel().dump_routes(kToRemoteTable)->size(), 1000U);
}

// all_rules() shows rules of other programs as the kernel has them.
class OthersRules : public LinuxWorld {};

TEST_F(OthersRules, AreSeenWithAllThatTheyAskFor) {
  run("ip rule add priority 512 to 10.41.3.7 lookup main");
  run("ip rule add priority 1536 from 10.41.3.7 iif veth0 lookup 2");
  run("ip rule add priority 5270 not fwmark 0x80000/0xff0000 lookup 52 suppress_prefixlength 0");
  run("ip -6 rule add priority 600 prohibit");
  run("ip rule add priority 700 uidrange 0-9 lookup 3");
  run("ip route add default dev veth0 table 2");
  run("ip route add throw 10.9.0.0/16 table 2");
  auto all = *kernel().all_rules();
  std::erase_if(all,
                [](const AnyRule& rule) { return rule.priority == 0 || rule.priority > 6000; });
  ASSERT_EQ(all.size(), 5U);
  AnyRule to_pod;
  to_pod.priority = 512;
  to_pod.table = 254;
  to_pod.to = p("10.41.3.7/32");
  EXPECT_EQ(all[0], to_pod);
  EXPECT_TRUE(all[1].special) << "a user id";
  AnyRule from_pod;
  from_pod.priority = 1536;
  from_pod.table = 2;
  from_pod.from = p("10.41.3.7/32");
  from_pod.iif = "veth0";
  EXPECT_EQ(all[2], from_pod);
  AnyRule vpn;
  vpn.priority = 5270;
  vpn.table = 52;
  vpn.mark = 0x80000;
  vpn.mask = 0xff0000;
  vpn.invert = true;
  vpn.suppress_length = 0;
  EXPECT_EQ(all[3], vpn);
  AnyRule refuses;
  refuses.family = Family::kV6;
  refuses.priority = 600;
  refuses.action = AnyRule::Action::kRefuse;
  EXPECT_EQ(all[4], refuses);
  EXPECT_EQ(*kernel().all_destinations(Family::kV4, 2), std::vector<Prefix>{p("0.0.0.0/0")});
  EXPECT_TRUE(kernel().all_destinations(Family::kV4, 77)->empty()) << "no such table";
  EXPECT_TRUE(kernel().all_destinations(Family::kV6, 77)->empty());
}

}  // namespace
}  // namespace cw::netlink
