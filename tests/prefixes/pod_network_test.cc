#include "prefixes/pod_network.h"

#include "tests/prefixes/objects.h"

namespace cw::prefixes {
namespace {

TEST(PodNetwork, IsThePodCidrsOfNodesWhereNothingElseSaysAnything) {
  Objects objects;
  put_node(objects, "n1", {"10.244.1.0/24", "fd00:1::/64"});
  put_node(objects, "n2");
  const auto network = pod_network(objects);
  EXPECT_EQ(network.source, Source::kNode);
  EXPECT_EQ(text_of(network.nodes), "n1 10.244.1.0/24 fd00:1::/64");
}

TEST(PodNetwork, CalicosBlocksWinOverPodCidrsThatCalicoIgnores) {
  Objects objects;
  put_node(objects, "east-n1", {"10.241.0.0/24"});
  put_node(objects, "east-n2", {"10.241.1.0/24"});
  put(objects.blocks_v1, calico_v1("east-n1", "10.241.70.128/26"));
  put(objects.blocks_v1, calico_v1("east-n1", "10.241.12.64/26"));
  put(objects.blocks_v1, calico_v1("east-n1", "fd00:10:241::/122"));
  const auto network = pod_network(objects);
  EXPECT_EQ(network.source, Source::kCalico);
  EXPECT_EQ(text_of(network.nodes), "east-n1 10.241.12.64/26 10.241.70.128/26 fd00:10:241::/122");
}

TEST(PodNetwork, OnlyConfirmedBlocksOfHostsCount) {
  Objects objects;
  put_node(objects, "n1");
  put(objects.blocks_v1, calico_v1("n1", "10.1.0.0/26", "pending"));
  put(objects.blocks_v1, calico_v1("n1", "10.1.0.64/26", "pendingDeletion"));
  put(objects.blocks_v1, calico_v1("n1", "10.1.0.128/26", "confirmed", "true"));
  put(objects.blocks_v3, calico_v3("n1", "10.2.0.0/26", "virtual"));
  put(objects.blocks_v3, calico_v3("n1", "10.2.0.64/26", "host", true));
  EXPECT_EQ(text_of(pod_network(objects).nodes), "");
  put(objects.blocks_v3, calico_v3("n1", "10.2.0.128/26"));
  EXPECT_EQ(text_of(pod_network(objects).nodes), "n1 10.2.0.128/26");
}

TEST(PodNetwork, BlocksOfNodesThatAreGoneAreDroppedAndNamed) {
  Objects objects;
  put_node(objects, "n1");
  put(objects.blocks_v1, calico_v1("n1", "10.1.0.0/26"));
  put(objects.blocks_v1, calico_v1("n9", "10.1.0.64/26"));
  const auto network = pod_network(objects);
  EXPECT_EQ(text_of(network.nodes), "n1 10.1.0.0/26");
  EXPECT_EQ(network.strangers, std::vector<std::string>{"n9"});
}

TEST(PodNetwork, AnAddressThatANodeBorrowedIsAPrefixOfThatNode) {
  Objects objects;
  put_node(objects, "n1");
  put_node(objects, "n2");
  put(objects.blocks_v1, calico_v1("n1", "10.1.0.0/26"));
  Items<api::CalicoIpamBlockV1> blocks;
  put(blocks, calico_ipam_block("n1", "10.1.0.0/26", {"n2", "n1", "n2"}).dump());
  append_borrowed(objects.borrowed, blocks);
  const auto network = pod_network(objects);
  EXPECT_EQ(text_of(network.nodes), "n1 10.1.0.0/26; n2 10.1.0.10/32 10.1.0.12/32");
  ASSERT_EQ(network.notes.size(), 1U);
  EXPECT_NE(network.notes.front().find("2 pods have addresses of another node's block, for example "
                                       "10.1.0.10 on node n2"),
            std::string::npos)
      << network.notes.front();
  EXPECT_NE(network.notes.front().find("strictAffinity: true"), std::string::npos);
}

TEST(PodNetwork, TooManyBorrowedAddressesAreLeftOutAndTheBlocksStay) {
  Objects objects;
  put_node(objects, "n1");
  put(objects.blocks_v1, calico_v1("n1", "10.1.0.0/26"));
  for (unsigned n = 0; n <= kMostBorrowed; ++n) {
    objects.borrowed[IpAddress::v4(
        {10, 2, static_cast<std::uint8_t>(n >> 8U), static_cast<std::uint8_t>(n)})] = "n1";
  }
  const auto network = pod_network(objects);
  EXPECT_EQ(text_of(network.nodes), "n1 10.1.0.0/26");
  ASSERT_EQ(network.notes.size(), 1U);
  EXPECT_NE(network.notes.front().find("1025 pods"), std::string::npos);
  EXPECT_NE(network.notes.front().find("remote clusters reach none of these pods"),
            std::string::npos);
}

TEST(PodNetwork, OtherSourcesHaveNoBorrowedAddresses) {
  Objects objects;
  put_node(objects, "n1", {"10.244.0.0/24"});
  objects.borrowed[IpAddress::v4({10, 1, 0, 7})] = "n1";
  EXPECT_EQ(text_of(pod_network(objects).nodes), "n1 10.244.0.0/24");
  EXPECT_TRUE(pod_network(objects).notes.empty());
}

TEST(PodNetwork, IsTheClusterAsAWholeIfNoNodeHasAPrefixAndTheRangesAreKnown) {
  Objects objects;
  put_node(objects, "n1");
  EXPECT_EQ(pod_network(objects).source, Source::kNode) << "no ranges";
  objects.settings.ranges = {*Prefix::parse("10.9.0.0/16"), *Prefix::parse("10.8.0.0/16")};
  auto network = pod_network(objects);
  EXPECT_EQ(network.source, Source::kCluster);
  EXPECT_EQ(texts_of(network.of("")), (std::vector<std::string>{"10.8.0.0/16", "10.9.0.0/16"}));
  EXPECT_EQ(texts_of(network.all()), texts_of(network.of("")));
  EXPECT_EQ(texts_of(network.around("n1")), texts_of(network.of("")));
  EXPECT_TRUE(network.of("n1").empty());
  put_node(objects, "n2", {"10.9.1.0/24"});
  EXPECT_EQ(pod_network(objects).source, Source::kNode) << "a node has a prefix";
  objects.settings.source = Source::kCluster;
  EXPECT_EQ(pod_network(objects).source, Source::kCluster) << "the administrator's word";
}

TEST(PodNetwork, OfTheClusterAsAWholeWithoutRangesSaysWhatToSet) {
  Objects objects;
  put_node(objects, "n1", {"10.244.0.0/24"});
  objects.settings.source = Source::kCluster;
  const auto network = pod_network(objects);
  EXPECT_TRUE(network.all().empty());
  ASSERT_EQ(network.notes.size(), 1U);
  EXPECT_NE(network.notes.front().find("set prefixes.ranges"), std::string::npos);
}

TEST(PodNetwork, RangesThatObjectsSayServeTheClusterAsAWhole) {
  Objects objects;
  put_node(objects, "n1");
  put(objects.config_maps, R"({"metadata": {"name": "kubeadm-config", "namespace": "kube-system"},
    "data": {"ClusterConfiguration": "networking: {podSubnet: 10.244.0.0/16}"}})");
  EXPECT_EQ(pod_network(objects).source, Source::kCluster);
  EXPECT_EQ(texts_of(pod_network(objects).of("")), std::vector<std::string>{"10.244.0.0/16"});
}

TEST(PodNetwork, CiliumsClusterPoolAndMultiPool) {
  Objects objects;
  put_node(objects, "n1", {"10.244.0.0/24"});
  put_node(objects, "n2", {"10.244.1.0/24"});
  put(objects.cilium_nodes, R"({"apiVersion": "cilium.io/v2", "kind": "CiliumNode",
    "metadata": {"name": "n1"},
    "spec": {"addresses": [{"ip": "172.18.0.2", "type": "InternalIP"}],
             "ipam": {"podCIDRs": ["10.0.1.0/24", "fd00::100/120"]}}})");
  put(objects.cilium_nodes, R"({"metadata": {"name": "n2"},
    "spec": {"ipam": {"pools": {"allocated": [{"pool": "default", "cidrs": ["10.10.0.0/27"]},
                                              {"pool": "mars", "cidrs": ["10.20.0.0/27",
                                                                         "10.20.0.32/27"]}]}}}})");
  const auto network = pod_network(objects);
  EXPECT_EQ(network.source, Source::kCilium);
  EXPECT_EQ(text_of(network.nodes),
            "n1 10.0.1.0/24 fd00::100/120; n2 10.10.0.0/27 10.20.0.0/27 10.20.0.32/27");
}

TEST(PodNetwork, SingleAddressesOfCiliumInACloudAreNoPrefixes) {
  Objects objects;
  put_node(objects, "n1");
  put(objects.cilium_nodes, R"({"metadata": {"name": "n1"},
    "spec": {"ipam": {"pool": {"10.0.0.7": {"resource": "eni-1"}}}}})");
  const auto network = pod_network(objects);
  EXPECT_EQ(text_of(network.nodes), "");
  ASSERT_EQ(network.notes.size(), 1U);
  EXPECT_NE(network.notes.front().find("CiliumNodes (spec.ipam.pool) give single addresses"),
            std::string::npos);
  EXPECT_NE(network.notes.front().find("prefixes.source to cluster"), std::string::npos);
}

TEST(PodNetwork, OvnKubernetesWritesAStringOrAList) {
  Objects objects;
  put_node(objects, "n1", {}, {{"k8s.ovn.org/node-subnets", R"({"default":"10.130.0.0/23"})"}});
  put_node(objects, "n2", {},
           {{"k8s.ovn.org/node-subnets",
             R"({"default":["10.131.0.0/23","fd01:0:0:2::/64"],"blue":["10.9.0.0/24"]})"}});
  put_node(objects, "n3", {}, {{"k8s.ovn.org/node-subnets", "not JSON"}});
  put_node(objects, "n4", {}, {{"k8s.ovn.org/node-subnets", R"({"default":[7]})"}});
  const auto network = pod_network(objects);
  EXPECT_EQ(network.source, Source::kOvn);
  EXPECT_EQ(text_of(network.nodes), "n1 10.130.0.0/23; n2 10.131.0.0/23 fd01:0:0:2::/64");
}

TEST(PodNetwork, KubeRoutersAnnotationOverridesThePodCidrsOfItsNode) {
  Objects objects;
  put_node(objects, "n1", {"10.244.0.0/24"},
           {{"kube-router.io/pod-cidrs", "10.50.0.0/24,fd50::/64"}});
  put_node(objects, "n2", {"10.244.1.0/24"}, {{"kube-router.io/pod-cidr", "10.50.1.0/24"}});
  put_node(objects, "n3", {"10.244.2.0/24"});
  const auto network = pod_network(objects);
  EXPECT_EQ(network.source, Source::kKubeRouter);
  EXPECT_EQ(text_of(network.nodes), "n1 10.50.0.0/24 fd50::/64; n2 10.50.1.0/24; n3 10.244.2.0/24");
}

TEST(PodNetwork, AzuresOverlayAndBlocks) {
  Objects objects;
  for (const auto* node : {"n1", "n2", "n3"}) put_node(objects, node);
  put(objects.azure, R"({"metadata": {"name": "n1", "namespace": "kube-system"},
    "status": {"networkContainers": [{"id": "a", "type": "overlay", "assignmentMode": "static",
      "primaryIP": "10.241.0.0/24", "nodeIP": "10.224.0.4"}]}})");
  put(objects.azure, R"({"metadata": {"name": "n2", "namespace": "kube-system"},
    "status": {"networkContainers": [{"type": "vnetblock", "primaryIP": "10.225.0.4/32",
      "ipAssignments": [{"name": "x", "ip": "10.225.0.16/28"}]}]}})");
  put(objects.azure, R"({"metadata": {"name": "n3", "namespace": "kube-system"},
    "status": {"networkContainers": [{"primaryIP": "10.226.0.4",
      "ipAssignments": [{"name": "x", "ip": "10.226.0.9"}]}]}})");
  const auto network = pod_network(objects);
  EXPECT_EQ(network.source, Source::kAzure);
  EXPECT_EQ(text_of(network.nodes), "n1 10.241.0.0/24; n2 10.225.0.16/28");
}

TEST(PodNetwork, TheAdministratorNamesTheSource) {
  Objects objects;
  put_node(objects, "n1", {"10.244.0.0/24"});
  put(objects.blocks_v1, calico_v1("n1", "10.1.0.0/26"));
  objects.settings.source = Source::kNode;
  EXPECT_EQ(text_of(pod_network(objects).nodes), "n1 10.244.0.0/24");
}

TEST(PodNetwork, TheAdministratorsPrefixesOfANodeReplaceThoseOfTheSource) {
  Objects objects;
  put_node(objects, "n1", {"10.244.0.0/24"});
  put_node(objects, "n2", {"10.244.1.0/24"});
  objects.settings.nodes["n2"] = {*Prefix::parse("10.9.0.0/24")};
  EXPECT_EQ(text_of(pod_network(objects).nodes), "n1 10.244.0.0/24; n2 10.9.0.0/24");
  objects.settings.source = Source::kConfigured;
  EXPECT_EQ(text_of(pod_network(objects).nodes), "n2 10.9.0.0/24");
}

TEST(PodNetwork, EverySourceThatHasPrefixesOfANodeIsListed) {
  Objects objects;
  put_node(objects, "n1", {"10.244.0.0/24"});
  put(objects.blocks_v1, calico_v1("n1", "10.1.0.0/26"));
  put(objects.blocks_v1, calico_v1("n2", "10.1.0.64/26"));
  const auto all = sources_of("n1", objects);
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(texts_of(all.at(Source::kNode)), std::vector<std::string>{"10.244.0.0/24"});
  EXPECT_EQ(texts_of(all.at(Source::kCalico)), std::vector<std::string>{"10.1.0.0/26"});
  EXPECT_TRUE(sources_of("n9", objects).empty());
}

TEST(PodNetwork, SingleAddressesOfAzureAreNoPrefixes) {
  Objects objects;
  put_node(objects, "n1");
  put(objects.azure, R"({"metadata": {"name": "n1", "namespace": "kube-system"},
    "status": {"networkContainers": [{"primaryIP": "10.226.0.4",
      "ipAssignments": [{"name": "x", "ip": "10.226.0.9"}]}]}})");
  const auto network = pod_network(objects);
  EXPECT_TRUE(network.nodes.empty());
  ASSERT_EQ(network.notes.size(), 1U);
  EXPECT_NE(network.notes.front().find("NodeNetworkConfigs (Azure) give single addresses"),
            std::string::npos);
}

TEST(CniKinds, AnIpamBlockIsKeptToWhatItSaysOfBorrowedAddresses) {
  const auto read = [](const nlohmann::json& body) {
    auto block = api::decode<api::CalicoIpamBlockV1>(body);
    EXPECT_TRUE(block);
    std::string text = block->host + ":";
    for (const auto& [address, node] : block->borrowed) {
      text += " " + address.to_string() + "=" + node;
    }
    EXPECT_EQ(api::decode<api::CalicoIpamBlockV1>(api::encode(*block))->borrowed, block->borrowed);
    return text;
  };
  EXPECT_EQ(read(calico_ipam_block("n1", "10.1.0.64/26", {"n2"})), "n1: 10.1.0.74=n2");
  EXPECT_EQ(read(calico_ipam_block("n1", "fd00::40/122", {"n2"})), "n1: fd00::4a=n2");
  auto body = calico_ipam_block("n1", "10.1.0.64/26", {"n2"});
  body["spec"].erase("affinity");  // its node is gone; the pods live on
  EXPECT_EQ(read(body), ": 10.1.0.64=n1 10.1.0.74=n2");
  // Nothing outside of the block, whatever the lists say.
  body = calico_ipam_block("n1", "10.1.0.64/30", {"n2"});
  EXPECT_EQ(read(body), "n1:");
  body = calico_ipam_block("n1", "10.0.0.0/8", {"n2"});
  EXPECT_EQ(read(body), "n1:");
  body = calico_ipam_block("n1", "10.1.0.64/26");
  body["spec"]["allocations"][5] = 7000;
  body["spec"]["allocations"][6] = -1;
  body["spec"]["attributes"].push_back("text");
  EXPECT_EQ(read(body), "n1:");
}

TEST(CniKinds, ABadFieldIsNamed) {
  const auto wrong = [](const char* text) {
    return api::decode<api::CalicoBlockV1>(nlohmann::json::parse(text)).error().text;
  };
  EXPECT_EQ(wrong(R"({"metadata": {"name": "b"}})"), "spec: is missing");
  EXPECT_EQ(wrong(R"({"metadata": {"name": "b"}, "spec": {"node": "n", "cidr": "ten"}})"),
            "spec.cidr: \"ten\" is not a CIDR");
}

TEST(Ranges, OfCalicoAreThePoolsThatGiveAddressesToPods) {
  Objects objects;
  put_node(objects, "n1");
  put(objects.blocks_v1, calico_v1("n1", "10.241.0.0/26"));
  put(objects.pools_v1, R"j({"metadata": {"name": "default-ipv4-ippool"}, "spec":
    {"allowedUses": ["Workload", "Tunnel"], "blockSize": 26, "cidr": "10.241.0.0/16",
     "ipipMode": "Never", "natOutgoing": true, "nodeSelector": "all()", "vxlanMode": "Always"
}
})j");
  put(objects.pools_v1, R"({"metadata": {"name": "remote"}, "spec": {"cidr": "10.99.0.0/16",
     "disabled": true}})");
  put(objects.pools_v1, R"({"metadata": {"name": "lb"}, "spec": {"cidr": "10.98.0.0/24",
     "allowedUses": ["LoadBalancer"]}})");
  const auto ranges = ranges_of(objects);
  EXPECT_EQ(texts_of(ranges.pods), std::vector<std::string>{"10.241.0.0/16"});
  EXPECT_EQ(ranges.from, "IPPools (Calico)");
}

TEST(Ranges, OfCiliumAreTheClusterPool) {
  Objects objects;
  put_node(objects, "n1");
  put(objects.cilium_nodes,
      R"({"metadata": {"name": "n1"}, "spec": {"ipam": {"podCIDRs": ["10.0.1.0/24"]}}})");
  put(objects.config_maps, R"({"metadata": {"name": "cilium-config", "namespace": "kube-system"},
    "data": {"ipam": "cluster-pool", "cluster-pool-ipv4-cidr": "10.0.0.0/16 10.7.0.0/16",
             "cluster-pool-ipv6-cidr": "fd00::/104"}})");
  EXPECT_EQ(texts_of(ranges_of(objects).pods),
            (std::vector<std::string>{"10.0.0.0/16", "10.7.0.0/16", "fd00::/104"}));
}

TEST(Ranges, OfKubeadmFlannelAndOpenShift) {
  Objects kubeadm;
  put(kubeadm.config_maps, R"({"metadata": {"name": "kubeadm-config", "namespace": "kube-system"},
    "data": {"ClusterConfiguration":
      "networking:\n  podSubnet: 10.244.0.0/16,fd00:10:244::/56\n  serviceSubnet: 10.96.0.0/16\n"}})");
  EXPECT_EQ(texts_of(ranges_of(kubeadm).pods),
            (std::vector<std::string>{"10.244.0.0/16", "fd00:10:244::/56"}));
  Objects flannel;
  put(flannel.config_maps,
      R"({"metadata": {"name": "kube-flannel-cfg", "namespace": "kube-flannel"},
    "data": {"net-conf.json": "{\"Network\": \"10.244.0.0/16\", \"Backend\": {\"Type\": \"vxlan\"}}"}})");
  EXPECT_EQ(texts_of(ranges_of(flannel).pods), std::vector<std::string>{"10.244.0.0/16"});
  Objects openshift;
  put(openshift.openshift, R"({"metadata": {"name": "cluster"}, "status": {"clusterNetwork":
    [{"cidr": "10.128.0.0/14", "hostPrefix": 23}], "serviceNetwork": ["172.30.0.0/16"],
    "networkType": "OVNKubernetes"}})");
  EXPECT_EQ(texts_of(ranges_of(openshift).pods), std::vector<std::string>{"10.128.0.0/14"});
}

TEST(Ranges, TheAdministratorsWinAndAnUnreadableObjectIsNamed) {
  Objects objects;
  put(objects.config_maps, R"({"metadata": {"name": "kubeadm-config", "namespace": "kube-system"},
    "data": {"ClusterConfiguration": "networking: {podSubnet: ten}"}})");
  EXPECT_EQ(ranges_of(objects).problem,
            "ConfigMap kube-system/kubeadm-config, networking.podSubnet: \"ten\" is not a CIDR");
  objects.settings.ranges = {*Prefix::parse("10.240.0.0/13")};
  const auto ranges = ranges_of(objects);
  EXPECT_EQ(ranges.problem, "");
  EXPECT_EQ(ranges.from, "ConfigMap causeway-prefixes");
}

TEST(Ranges, NothingSaysThem) { EXPECT_TRUE(ranges_of(Objects()).pods.empty()); }

}  // namespace
}  // namespace cw::prefixes
