#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "prefixes/pod_network.h"

namespace cw::prefixes {

namespace {

constexpr const char* kSystem = "kube-system";
constexpr const char* kCiliumConfig = "cilium-config";
constexpr const char* kKubeadmConfig = "kubeadm-config";
constexpr const char* kFlannelConfig = "kube-flannel-cfg";
constexpr const char* kFlannelNamespace = "kube-flannel";

// The value of one key; empty: there is no such ConfigMap or key.
std::string_view value_of(const Objects& objects, const api::ObjectKey& name, const char* key) {
  const auto map = objects.config_maps.find(name);
  if (map == objects.config_maps.end()) return {};
  const auto found = map->second->data.find(key);
  return found == map->second->data.end() ? std::string_view() : std::string_view(found->second);
}

Ranges parsed(std::string_view text, std::string from) {
  Ranges ranges;
  ranges.from = std::move(from);
  auto pods = parse_prefixes(text);
  if (pods) {
    ranges.pods = std::move(*pods);
  } else {
    ranges.problem = fmt::format("{}: {}", ranges.from, pods.error().text);
  }
  return ranges;
}

// Pools that give no addresses to pods are left out. Disabled ones are, too: other programs make
// such pools for networks outside of the cluster.
template <typename Pool>
void append_pools(const Items<Pool>& pools, std::vector<Prefix>& into) {
  for (const auto& [key, pool] : pools) {
    const auto& uses = pool->allowed_uses;
    const bool for_pods =
        uses.empty() || std::find(uses.begin(), uses.end(), "Workload") != uses.end();
    if (for_pods && !pool->disabled) into.push_back(pool->cidr);
  }
}

Ranges calico_ranges(const Objects& objects) {
  Ranges ranges{{}, "IPPools (Calico)", {}};
  append_pools(objects.pools_v1, ranges.pods);
  append_pools(objects.pools_v3, ranges.pods);
  return ranges;
}

Ranges cilium_ranges(const Objects& objects) {
  const api::ObjectKey name{kSystem, kCiliumConfig};
  const auto ipam = value_of(objects, name, "ipam");
  if (ipam != "cluster-pool" && ipam != "cluster-pool-v2beta") return {};
  return parsed(fmt::format("{} {}", value_of(objects, name, "cluster-pool-ipv4-cidr"),
                            value_of(objects, name, "cluster-pool-ipv6-cidr")),
                "ConfigMap kube-system/cilium-config, cluster-pool-ipv4-cidr");
}

Ranges openshift_ranges(const Objects& objects) {
  Ranges ranges{{}, "Network cluster (OpenShift)", {}};
  for (const auto& [key, network] : objects.openshift) {
    ranges.pods.insert(ranges.pods.end(), network->pods.begin(), network->pods.end());
  }
  return ranges;
}

Ranges flannel_ranges(const Objects& objects) {
  const auto text = value_of(objects, {kFlannelNamespace, kFlannelConfig}, "net-conf.json");
  const auto config = nlohmann::json::parse(text, nullptr, false);
  std::string all;
  for (const auto* key : {"Network", "IPv6Network"}) {
    if (config.is_object() && config.contains(key) && config[key].is_string()) {
      all += config[key].get<std::string>() + " ";
    }
  }
  return parsed(all, "ConfigMap kube-flannel/kube-flannel-cfg, net-conf.json");
}

Ranges kubeadm_ranges(const Objects& objects) {
  const std::string from = "ConfigMap kube-system/kubeadm-config, networking.podSubnet";
  const auto text = value_of(objects, {kSystem, kKubeadmConfig}, "ClusterConfiguration");
  try {
    const auto subnet = YAML::Load(std::string(text))["networking"]["podSubnet"];
    return subnet.IsDefined() && subnet.IsScalar() ? parsed(subnet.Scalar(), from) : Ranges();
  } catch (const YAML::Exception& error) {
    return {{}, from, fmt::format("{}: {}", from, error.what())};
  }
}

}  // namespace

Ranges ranges_of(const Objects& objects) {
  return ranges_for(pod_network(objects).source, objects);
}

Ranges ranges_for(Source source, const Objects& objects) {
  const Ranges configured{objects.settings.ranges, "ConfigMap causeway-prefixes", {}};
  const bool calico = source == Source::kCalico || source == Source::kCluster;
  const bool cilium = source == Source::kCilium || source == Source::kCluster;
  for (auto& ranges : {configured, calico ? calico_ranges(objects) : Ranges(),
                       cilium ? cilium_ranges(objects) : Ranges(), openshift_ranges(objects),
                       flannel_ranges(objects), kubeadm_ranges(objects)}) {
    if (!ranges.pods.empty() || !ranges.problem.empty()) return ranges;
  }
  return {};
}

std::vector<api::ObjectKey> range_config_maps() {
  return {{kSystem, kCiliumConfig}, {kSystem, kKubeadmConfig}, {kFlannelNamespace, kFlannelConfig}};
}

}  // namespace cw::prefixes
