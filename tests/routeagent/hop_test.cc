// The hop between nodes and gateways inside WireGuard: its addresses, peers and device.
#include "routeagent/node/hop.h"

#include <gtest/gtest.h>

#include "base/fake/sim_loop.h"
#include "routeagent/hop_device.h"
#include "routeagent/node/reconcile.h"
#include "tests/routeagent/lives.h"
#include "tests/routeagent/node_kernel.h"
#include "tunnel/fake/fake_driver.h"

namespace cw::routeagent {
namespace {

tunnel::Key private_key(std::uint8_t number) {
  std::array<std::uint8_t, 32> bytes{};
  bytes[0] = 8;
  bytes[1] = number;
  bytes[31] = 64;  // clamped
  return tunnel::Key(bytes);
}
tunnel::Key public_key(std::uint8_t number) { return private_key(number).public_key(); }

// lives.h's cluster with keys: node n has key n.
Situation keyed(bool gateway = false) {
  auto in = inputs(gateway);
  in.hop = public_key(3);
  in.side.mode = "wireguard";
  in.self.key = in.hop;
  for (std::size_t i = 0; i < in.others.size(); ++i) {
    in.others[i].key = public_key(std::array<std::uint8_t, 3>{1, 2, 4}.at(i));
    in.others[i].overlay = in.side;
  }
  return in;
}

std::set<std::string> peers_of(const tunnel::DeviceSpec& spec) {
  std::set<std::string> endpoints;
  for (const auto& [key, peer] : spec.peers) {
    endpoints.insert(peer.endpoint->to_string());
    EXPECT_EQ(peer.allowed_ips, std::set<Prefix>{Prefix::host(hop_address(key))});
    EXPECT_EQ(peer.keepalive_seconds, 5);
  }
  return endpoints;
}

TEST(Hop, AddressesFollowFromKeys) {
  EXPECT_EQ(hop_network().to_string(), "fd43:5743:6e64::/64");
  EXPECT_TRUE(hop_network().contains(hop_address(public_key(1))));
  EXPECT_NE(hop_address(public_key(1)), hop_address(public_key(2)));
}

TEST(Hop, ItsMtuLeavesRoomForWireGuard) {
  EXPECT_EQ(hop_mtu(1500, Family::kV4), 1440U);
  EXPECT_EQ(hop_mtu(1500, Family::kV6), 1420U);
  EXPECT_EQ(hop_mtu(1300, Family::kV4), 1280U);
  EXPECT_EQ(node_mtu(keyed()), 1370U);
}

TEST(Hop, AWorkersPeersAreTheGatewayNodesAndAGatewaysAreAll) {
  const auto worker = desired_hop(keyed(), private_key(3), 4794);
  EXPECT_EQ(worker.listen_port, 4794);
  EXPECT_EQ(peers_of(worker), (std::set<std::string>{"10.0.0.1:4794", "10.0.0.2:4794"}));
  EXPECT_EQ(peers_of(desired_hop(keyed(true), private_key(3), 4794)).size(), 3U);
}

TEST(Hop, ANodeWithoutAKeyIsLeftOutAndNamed) {
  auto in = keyed();
  in.others[0].key.reset();
  EXPECT_EQ(desired_hop(in, private_key(3), 4794).peers.size(), 1U);
  const auto state = desired_state(in);
  ASSERT_EQ(state.left_out.size(), 1U);
  EXPECT_EQ(state.left_out[0].text,
            "node n1 has published no key for overlay wireguard: no traffic passes between it and "
            "this node; run a route agent there");
  EXPECT_TRUE(state.problems.empty()) << "an update goes on: the agent is ready";
  EXPECT_EQ(cw_vx(state).fdb.size(), 1U);
}

TEST(Hop, PeersAreCalledAtThePortThatTheyPublish) {
  auto in = keyed();
  in.others[0].overlay->port = 5000;
  EXPECT_EQ(peers_of(desired_hop(in, private_key(3), 4794)),
            (std::set<std::string>{"10.0.0.1:5000", "10.0.0.2:4794"}));
}

TEST(Hop, AnIPv6UnderlayCostsTwentyBytesMore) {
  auto in = keyed();
  in.self.underlay = ip("fd00::3");
  for (auto& node : in.others) node.underlay = ip("fd00::" + node.name.substr(1));
  for (auto& gateway : in.gateways) gateway.node_ip = ip("fd00::" + gateway.node.substr(1));
  EXPECT_EQ(peers_of(desired_hop(in, private_key(3), 4794)),
            (std::set<std::string>{"[fd00::1]:4794", "[fd00::2]:4794"}));
  const auto state = desired_state(in);
  EXPECT_EQ(link_of(state, "cw-nd").mtu, 1420U);
  EXPECT_EQ(cw_vx(state).vxlan->mtu, 1350U);
  EXPECT_TRUE(state.problems.empty());
}

TEST(Hop, ACopiedKeyIsNamed) {
  auto in = keyed();
  in.others[0].key = in.self.key;
  EXPECT_EQ(desired_hop(in, private_key(3), 4794).peers.size(), 1U);
  EXPECT_EQ(desired_state(in).problems,
            std::vector<std::string>{"nodes n3 and n1 have the same key"});
}

TEST(Hop, VxlanRunsBetweenItsAddresses) {
  const auto state = desired_state(keyed());
  EXPECT_EQ(link_of(state, "cw-nd").addresses,
            (std::set<netlink::Address>{{"cw-nd", hop_address(public_key(3)), 64}}));
  EXPECT_EQ(link_of(state, "cw-nd").mtu, 1440U);
  EXPECT_EQ(cw_vx(state).vxlan->local, hop_address(public_key(3)));
  EXPECT_EQ(cw_vx(state).fdb,
            (std::map<netlink::Mac, IpAddress>{
                {vtep_mac(kOverlayKey, ip("10.0.0.1")), hop_address(public_key(1))},
                {vtep_mac(kOverlayKey, ip("10.0.0.2")), hop_address(public_key(2))}}));
  EXPECT_EQ(cw_vx(state).neighbours.size(), 2U);
  EXPECT_EQ(link_of(desired_state(inputs()), "cw-nd"), netlink::LinkSpec{});
}

TEST(Hop, TheGuardTakesVxlanFromItOnlyAndClosesItForTheRest) {
  const auto text = nft_of(desired_state(keyed()));
  for (const auto* part :
       {"iifname \"cw-nd\" ip6 daddr fd43:5743:6e64:", "typeof ip6 saddr . @th,176,48",
        "jump vxlan\n\t\tiifname \"cw-nd\" counter drop\n",
        "ip6 daddr fd43:5743:6e64::/64 oifname != \"cw-nd\" counter drop\n"
        "\t\tudp dport 4799 ip daddr @nodes4 counter drop\n",
        "priority filter - 10; policy accept;\n\t\tiifname \"cw-nd\" counter drop\n"
        "\t\toifname \"cw-nd\" counter drop\n",
        "\t\tiifname \"eth0\" counter drop\n"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  }
  EXPECT_EQ(nft_of(desired_state(inputs())).find("cw-nd"), std::string::npos);
}

TEST(Hop, ARemoteClustersPrefixNeverTakesItsAddresses) {
  auto in = keyed();
  in.remotes.front().prefixes.push_back(net("fd43::/16"));
  const auto state = desired_state(in);
  EXPECT_EQ(state.routes.count({7487, net("fd43::/16")}), 0U);
  EXPECT_EQ(state.problems.size(), 1U);
}

TEST(Hop, TheReconcilerGivesTheDeviceItsAddressAndTakesItAwayWithoutTheOption) {
  NodeKernel kernel;
  NodeReconciler reconciler(kernel);
  const auto desired = desired_state(keyed());
  EXPECT_EQ(reconciler.apply(desired).errors, std::vector<std::string>{"there is no device cw-nd"});
  kernel.links["cw-nd"] = {9, "cw-nd", "tun", 1420, false, {}};
  kernel.sysctls["ipv6/conf/cw-nd/disable_ipv6"] = "1";
  EXPECT_TRUE(reconciler.apply(desired).errors.empty());
  EXPECT_EQ(kernel.links["cw-nd"].mtu, 1440U);
  EXPECT_TRUE(kernel.links["cw-nd"].up);
  EXPECT_EQ(kernel.sysctls["ipv6/conf/cw-nd/disable_ipv6"], "0");
  EXPECT_EQ(reconciler.apply(desired).steps, 0U);
  auto other = keyed();
  other.hop = public_key(7);  // a new key: the old address is removed
  EXPECT_TRUE(reconciler.apply(desired_state(other)).errors.empty());
  EXPECT_EQ(std::count_if(kernel.addresses.begin(), kernel.addresses.end(),
                          [](const auto& one) { return one.link == "cw-nd"; }),
            1);
  reconciler.apply(desired_state(inputs()));
  EXPECT_EQ(kernel.links.count("cw-nd"), 0U);
}

struct DeviceStory : ::testing::Test {
  SimLoop loop;
  tunnel::FakeDriver* driver = nullptr;
  int opened = 0;
  std::optional<Error> refuse;
  HopDevice device{loop,
                   [this]() -> Result<std::unique_ptr<tunnel::Driver>> {
                     ++opened;
                     if (refuse) return fail(Error(*refuse));
                     auto made = std::make_unique<tunnel::FakeDriver>();
                     driver = made.get();
                     return made;
                   },
                   private_key(3),
                   4794,
                   {[this](Worker::Job job) {
                      if (!hangs) {
                        if (const auto finish = job()) finish();
                      } else {
                        waiting.push_back(std::move(job));
                      }
                      return true;
                    },
                    {}},
                   [this] { ++changes; }};
  bool hangs = false;  // jobs wait until run()
  std::vector<Worker::Job> waiting;
  int changes = 0;

  void run() {
    for (const auto& job : std::exchange(waiting, {})) job()();
  }
};

TEST_F(DeviceStory, IsMadeOnceAndFollowsTheNodes) {
  auto in = keyed();
  device.reconcile(in);
  EXPECT_EQ(device.trouble(), "");
  EXPECT_EQ(driver->device().peers.size(), 2U);
  (void)driver->take_log();
  in.host.hop_index = 9;
  device.reconcile(in);
  EXPECT_EQ(driver->take_log(), "") << "nothing has changed";
  in.others[0].key = public_key(8);
  device.reconcile(in);
  EXPECT_EQ(driver->device().peers.count(public_key(8)), 1U);
  EXPECT_EQ(driver->device().peers.count(public_key(1)), 0U);
  EXPECT_EQ(opened, 1);
}

TEST_F(DeviceStory, AFailureIsToldAndTriedAgain) {
  refuse = Error{Errc::kUnavailable, "no /dev/net/tun"};
  device.reconcile(keyed());
  EXPECT_NE(device.trouble().find("no /dev/net/tun"), std::string::npos);
  EXPECT_EQ(changes, 1);
  refuse.reset();
  device.reconcile(keyed());
  EXPECT_EQ(opened, 1) << "a pass does not try again";
  loop.advance(std::chrono::seconds(2));
  EXPECT_EQ(device.trouble(), "");
  EXPECT_EQ(changes, 2);
  driver->fail_next(Error{Errc::kInternal, "EBUSY"});
  auto changed = keyed();
  changed.others[0].key = public_key(8);
  device.reconcile(changed);
  EXPECT_NE(device.trouble().find("EBUSY"), std::string::npos);
  loop.advance(std::chrono::seconds(2));
  EXPECT_EQ(device.trouble(), "");
  EXPECT_EQ(driver->device().peers.count(public_key(8)), 1U);
}

TEST_F(DeviceStory, ADriverThatHangsIsAskedOnceAndNamed) {
  hangs = true;
  device.reconcile(keyed());
  EXPECT_TRUE(device.making());
  loop.advance(tunnel::DeviceJobs::kPatience);
  EXPECT_FALSE(device.making()) << "the rest of the agent goes on without it";
  EXPECT_EQ(changes, 1);
  run();  // the driver opens
  run();  // the first apply ends
  EXPECT_EQ(driver->device().peers.size(), 2U);

  auto in = keyed();
  in.host.hop_index = 9;
  for (const auto key : std::array<std::uint8_t, 2>{8, 9}) {
    in.others[0].key = public_key(key);
    device.reconcile(in);
  }
  EXPECT_EQ(waiting.size(), 1U) << "one call at a time";
  EXPECT_EQ(device.trouble(), "");
  loop.advance(tunnel::DeviceJobs::kPatience);
  EXPECT_EQ(device.trouble(), "node tunnel: driver fake does not answer");
  run();
  run();  // with the newest peers
  EXPECT_EQ(device.trouble(), "");
  EXPECT_EQ(driver->device().peers.count(public_key(9)), 1U);
  EXPECT_EQ(driver->device().peers.count(public_key(8)), 0U);
}

TEST_F(DeviceStory, WhatAnotherProgramChangedIsRepairedWithinAMinute) {
  auto in = keyed();
  in.host.hop_index = 9;
  device.reconcile(in);
  driver->device().peers.clear();
  device.reconcile(in);
  EXPECT_TRUE(driver->device().peers.empty());
  loop.advance(std::chrono::minutes(1));
  device.reconcile(in);
  EXPECT_EQ(driver->device().peers.size(), 2U);
}

}  // namespace
}  // namespace cw::routeagent
