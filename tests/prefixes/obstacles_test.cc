// Settings of Cilium and OVN-Kubernetes, as their installers write them.
#include <gtest/gtest.h>

#include "api/fake/memory_store.h"
#include "base/fake/sim_loop.h"
#include "prefixes/obstacles_watch.h"

namespace cw::prefixes {
namespace {

Prefix net(std::string_view text) { return *Prefix::parse(text); }
const std::vector<Prefix> kRemotes{net("10.42.0.0/16")};

using Data = std::map<std::string, std::string>;

// Cilium 1.18 with the values of its chart that concern packets, and bpf.masquerade.
api::ConfigMapObject cilium(const Data& other = {}) {
  api::ConfigMapObject config;
  config.data = {{"enable-bpf-masquerade", "true"},  {"enable-ipv4-masquerade", "true"},
                 {"enable-ipv6-masquerade", "true"}, {"enable-host-legacy-routing", "true"},
                 {"routing-mode", "tunnel"},         {"kube-proxy-replacement", "false"}};
  for (const auto& [key, value] : other) config.data[key] = value;
  return config;
}
std::string found(const Data& other, const std::vector<Prefix>& remotes = kRemotes) {
  std::string text;
  for (const auto& one : cilium_obstacles(cilium(other), remotes)) text += one + "\n";
  return text;
}

TEST(CiliumObstacles, BpfMasqueradeOnDevicesThatCiliumFindsItselfNamesTheSettings) {
  const auto text = found({});
  for (const auto* word : {"enable-bpf-masquerade", "cw-vx", "`devices`",
                           "`ipv4-native-routing-cidr`", "10.42.0.0/16"}) {
    EXPECT_NE(text.find(word), std::string::npos) << word << " in " << text;
  }
}

TEST(CiliumObstacles, DevicesOfTheNodeAreRight) {
  EXPECT_EQ(found({{"devices", "eth0 ens+"}}), "");
  EXPECT_EQ(found({{"devices", "eth0,bond0"}}), "");
  EXPECT_NE(found({{"devices", "+"}}), "");
  EXPECT_NE(found({{"devices", "eth0 cw-+"}}), "");
  EXPECT_NE(found({{"devices", "cw-wg"}}), "");
  EXPECT_NE(found({{"devices", " , "}}), "") << "the same as none";
}

TEST(CiliumObstacles, ANativeRangeMustContainEveryRemotePrefixOfItsFamily) {
  EXPECT_EQ(found({{"ipv4-native-routing-cidr", "10.0.0.0/8"}}), "");
  EXPECT_NE(found({{"ipv4-native-routing-cidr", "10.42.0.0/24"}}), "");
  EXPECT_NE(found({{"ipv4-native-routing-cidr", "auto"}}), "");
  const std::vector both{net("10.42.0.0/16"), net("fd42::/48")};
  const auto text = found({{"ipv4-native-routing-cidr", "10.0.0.0/8"}}, both);
  EXPECT_NE(text.find("ipv6-native-routing-cidr"), std::string::npos) << text;
  EXPECT_EQ(found({{"ipv4-native-routing-cidr", "10.0.0.0/8"}, {"enable-ipv6-masquerade", "false"}},
                  both),
            "");
}

TEST(CiliumObstacles, WithoutBpfMasqueradeOurExemptionHolds) {
  EXPECT_EQ(found({{"enable-bpf-masquerade", "false"}}), "");
  EXPECT_EQ(found({{"enable-ipv4-masquerade", "false"}}), "");
  EXPECT_EQ(found({{"enable-ip-masq-agent", "true"}}), "") << "another object decides";
  EXPECT_EQ(found({}, {}), "") << "no remote cluster";
}

TEST(CiliumObstacles, BpfHostRoutingIsNamed) {
  const Data fast{{"devices", "eth0"}, {"enable-host-legacy-routing", "false"}};
  EXPECT_EQ(found(fast), "") << "kube-proxy is there";
  auto without_proxy = fast;
  without_proxy["kube-proxy-replacement"] = "true";
  EXPECT_NE(found(without_proxy).find("bpf.hostLegacyRouting"), std::string::npos);
  without_proxy["enable-bpf-masquerade"] = "false";
  EXPECT_EQ(found(without_proxy), "") << "masquerade in iptables needs the host's stack";
  without_proxy["enable-ipv4-masquerade"] = without_proxy["enable-ipv6-masquerade"] = "false";
  EXPECT_NE(found(without_proxy), "");
}

api::Node ovn_node(const std::string& annotation) {
  api::Node node;
  node.meta.key.name = "w0";
  node.meta.annotations["k8s.ovn.org/l3-gateway-config"] = annotation;
  return node;
}

TEST(OvnObstacles, SharedGatewayModeIsNamedAndLocalIsNot) {
  const auto shared = ovn_obstacles(
      ovn_node(R"({"default":{"mode":"shared","bridge-id":"br-ex","interface-id":"br-ex_w0",)"
               R"("ip-addresses":["172.18.0.3/16"],"next-hops":["172.18.0.1"]}})"));
  ASSERT_EQ(shared.size(), 1U);
  EXPECT_NE(shared[0].find("routingViaHost: true"), std::string::npos) << shared[0];
  EXPECT_TRUE(ovn_obstacles(ovn_node(R"({"default":{"mode":"local"}})")).empty());
  for (const auto* other : {"", "[]", "{}", R"({"default":"shared"})", R"({"default":{}})",
                            R"({"default":{"mode":7}})", "{"}) {
    EXPECT_TRUE(ovn_obstacles(ovn_node(other)).empty()) << other;
  }
  EXPECT_TRUE(ovn_obstacles({}).empty());
}

TEST(ObstaclesWatch, FollowsTheObjectAndReadsNoOther) {
  SimLoop loop;
  SeededRandom random{1};
  api::MemoryStore store{loop, random};
  int changes = 0;
  const ObstaclesWatch watch(loop, store, random, [&] { ++changes; });
  const auto put = [&](const char* ns, const char* name) {
    store.put_body(api::Kind::kConfigMap, {ns, name},
                   {{"metadata", {{"name", name}, {"namespace", ns}}},
                    {"data", {{"enable-bpf-masquerade", "true"}}}});
    loop.advance(std::chrono::seconds(1));
  };
  put("default", "cilium-config");
  put("kube-system", "other");
  EXPECT_TRUE(watch.of(nullptr, kRemotes).empty());
  changes = 0;
  put("kube-system", "cilium-config");
  EXPECT_GT(changes, 0);
  EXPECT_EQ(watch.of(nullptr, kRemotes).size(), 1U);
  const auto node = ovn_node(R"({"default":{"mode":"shared"}})");
  EXPECT_EQ(watch.of(&node, kRemotes).size(), 2U);
  EXPECT_TRUE(watch.of(&node, {}).empty());
}

}  // namespace
}  // namespace cw::prefixes
