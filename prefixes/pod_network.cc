#include "prefixes/pod_network.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>

namespace cw::prefixes {

namespace {

using nlohmann::json;

constexpr const char* kOvnSubnets = "k8s.ovn.org/node-subnets";
constexpr const char* kKubeRouterCidrs = "kube-router.io/pod-cidrs";
constexpr const char* kKubeRouterCidr = "kube-router.io/pod-cidr";

void append(NodePrefixes& nodes, const std::string& node, const std::vector<Prefix>& prefixes) {
  if (prefixes.empty()) return;
  auto& all = nodes[node];
  all.insert(all.end(), prefixes.begin(), prefixes.end());
}

// A block belongs to a node while it is confirmed. While it is pending, another node may still get
// it.
template <typename Block>
void append_blocks(NodePrefixes& nodes, const Items<Block>& blocks) {
  for (const auto& [key, block] : blocks) {
    if (block->state != "confirmed" || block->deleted) continue;
    if (!block->type.empty() && block->type != "host") continue;
    append(nodes, block->node, {block->cidr});
  }
}

NodePrefixes of_calico(const Objects& objects) {
  NodePrefixes nodes;
  append_blocks(nodes, objects.blocks_v1);
  append_blocks(nodes, objects.blocks_v3);
  if (nodes.empty() || objects.borrowed.size() > kMostBorrowed) return nodes;
  for (const auto& [address, node] : objects.borrowed) append(nodes, node, {Prefix::host(address)});
  return nodes;
}

NodePrefixes of_cilium(const Objects& objects) {
  NodePrefixes nodes;
  for (const auto& [key, node] : objects.cilium_nodes) {
    append(nodes, key.name, node->pod_cidrs);
    append(nodes, key.name, node->pools);
  }
  return nodes;
}

// {"default": "10.130.0.0/23"} or {"default": ["10.130.0.0/23", "fd01::/64"], ...}. Other keys are
// networks of users, which are no pod network of the cluster.
std::vector<Prefix> ovn_subnets(const std::string& annotation) {
  std::vector<Prefix> all;
  const auto subnets = json::parse(annotation, nullptr, false);
  if (!subnets.is_object() || !subnets.contains("default")) return all;
  const auto& found = subnets["default"];
  for (const auto& text : found.is_array() ? found : json::array({found})) {
    if (!text.is_string()) continue;
    if (const auto prefix = Prefix::parse(text.get<std::string>())) all.push_back(*prefix);
  }
  return all;
}

NodePrefixes of_ovn(const Objects& objects) {
  NodePrefixes nodes;
  for (const auto& [key, node] : objects.nodes) {
    const auto found = node->meta.annotations.find(kOvnSubnets);
    if (found != node->meta.annotations.end()) append(nodes, key.name, ovn_subnets(found->second));
  }
  return nodes;
}

// The annotation of one node overrides its podCIDRs. Nodes without it keep theirs.
NodePrefixes of_kube_router(const Objects& objects) {
  NodePrefixes nodes;
  bool annotated = false;
  for (const auto& [key, node] : objects.nodes) {
    const auto& annotations = node->meta.annotations;
    auto found = annotations.find(kKubeRouterCidrs);
    if (found == annotations.end()) found = annotations.find(kKubeRouterCidr);
    const auto prefixes =
        found == annotations.end() ? Result<std::vector<Prefix>>() : parse_prefixes(found->second);
    annotated = annotated || (prefixes && !prefixes->empty());
    append(nodes, key.name, prefixes && !prefixes->empty() ? *prefixes : node->pod_cidrs);
  }
  return annotated ? nodes : NodePrefixes();
}

NodePrefixes of_azure(const Objects& objects) {
  NodePrefixes nodes;
  for (const auto& [key, config] : objects.azure) append(nodes, key.name, config->prefixes);
  return nodes;
}

NodePrefixes of_nodes(const Objects& objects) {
  NodePrefixes nodes;
  for (const auto& [key, node] : objects.nodes) append(nodes, key.name, node->pod_cidrs);
  return nodes;
}

NodePrefixes of_settings(const Objects& objects) {
  NodePrefixes nodes;
  for (const auto& [key, node] : objects.nodes) {
    if (const auto* prefixes = objects.settings.of(*node)) append(nodes, key.name, *prefixes);
  }
  return nodes;
}

NodePrefixes of_source(Source source, const Objects& objects) {
  switch (source) {
    case Source::kConfigured:
      return of_settings(objects);
    case Source::kCalico:
      return of_calico(objects);
    case Source::kCilium:
      return of_cilium(objects);
    case Source::kOvn:
      return of_ovn(objects);
    case Source::kKubeRouter:
      return of_kube_router(objects);
    case Source::kAzure:
      return of_azure(objects);
    case Source::kNode:
      return of_nodes(objects);
    case Source::kCluster:
      return {};  // no node has prefixes of its own
  }
  return {};
}

constexpr std::array kFound = {Source::kCalico,     Source::kCilium, Source::kOvn,
                               Source::kKubeRouter, Source::kAzure,  Source::kNode};

void normalise(NodePrefixes& nodes) {
  for (auto& [name, prefixes] : nodes) {
    std::sort(prefixes.begin(), prefixes.end());
    prefixes.erase(std::unique(prefixes.begin(), prefixes.end()), prefixes.end());
  }
}

// Why no source has prefixes of nodes although the pod network is known.
std::string single_addresses(const Objects& objects) {
  const auto any = [](const auto& items) {
    return std::any_of(items.begin(), items.end(),
                       [](const auto& one) { return one.second->single_addresses; });
  };
  const bool cilium = any(objects.cilium_nodes);
  if (!cilium && !any(objects.azure)) return {};
  return fmt::format(
      "{} give single addresses to pods, and no node has a prefix. Set prefixes.source to cluster, "
      "and prefixes.ranges to the ranges from which pods get addresses",
      cilium ? "CiliumNodes (spec.ipam.pool)" : "NodeNetworkConfigs (Azure)");
}

void add_notes(PodNetwork& network, const Objects& objects) {
  if (network.source == Source::kCalico && !objects.borrowed.empty()) {
    network.notes.push_back(borrowed_note(objects.borrowed));
  }
  if (network.nodes.empty() && !network.whole_cluster()) {
    if (auto why = single_addresses(objects); !why.empty()) network.notes.push_back(std::move(why));
  }
  if (network.whole_cluster() && network.nodes.empty()) {
    network.notes.emplace_back(
        "prefixes.source is cluster, and no object says the ranges of the cluster's pods: set "
        "prefixes.ranges");
  }
}

}  // namespace

std::vector<Prefix> PodNetwork::of(const std::string& node) const {
  const auto found = nodes.find(node);
  return found == nodes.end() ? std::vector<Prefix>() : found->second;
}

std::vector<Prefix> PodNetwork::around(const std::string& node) const {
  return of(whole_cluster() ? std::string() : node);
}

std::vector<Prefix> PodNetwork::all() const {
  std::set<Prefix> found;
  for (const auto& [name, prefixes] : nodes) found.insert(prefixes.begin(), prefixes.end());
  return {found.begin(), found.end()};
}

std::map<Source, std::vector<Prefix>> sources_of(const std::string& node, const Objects& objects) {
  std::map<Source, std::vector<Prefix>> all;
  for (const auto source : kFound) {
    auto nodes = of_source(source, objects);
    normalise(nodes);
    if (const auto found = nodes.find(node); found != nodes.end()) {
      all.emplace(source, std::move(found->second));
    }
  }
  return all;
}

PodNetwork pod_network(const Objects& objects) {
  PodNetwork network;
  if (objects.settings.source) {
    network.source = *objects.settings.source;
    network.nodes = of_source(network.source, objects);
  } else {
    for (const auto source : kFound) {
      network.nodes = of_source(source, objects);
      network.source = source;
      if (!network.nodes.empty()) break;
    }
    const bool nothing = network.nodes.empty() && of_settings(objects).empty();
    if (nothing && !ranges_for(Source::kCluster, objects).pods.empty())
      network.source = Source::kCluster;
  }
  if (network.source == Source::kCluster) {
    append(network.nodes, {}, ranges_for(Source::kCluster, objects).pods);
    normalise(network.nodes);
    add_notes(network, objects);
    return network;
  }
  for (auto& [name, prefixes] : of_settings(objects)) {
    network.nodes.insert_or_assign(name, std::move(prefixes));
  }
  for (auto at = network.nodes.begin(); at != network.nodes.end();) {
    if (objects.nodes.count({"", at->first}) != 0) {
      ++at;
    } else {
      network.strangers.push_back(at->first);
      at = network.nodes.erase(at);
    }
  }
  normalise(network.nodes);
  add_notes(network, objects);
  return network;
}

std::string_view object_of(Source source) {
  switch (source) {
    case Source::kConfigured:
      return "ConfigMap causeway-prefixes";
    case Source::kCalico:
      return "BlockAffinities (Calico)";
    case Source::kCilium:
      return "CiliumNodes";
    case Source::kOvn:
      return "the Node annotation k8s.ovn.org/node-subnets";
    case Source::kKubeRouter:
      return "the Node annotation kube-router.io/pod-cidrs";
    case Source::kAzure:
      return "NodeNetworkConfigs (Azure)";
    case Source::kNode:
      return "Node.spec.podCIDRs";
    case Source::kCluster:
      return "the ranges of the cluster as a whole";
  }
  return "";
}

}  // namespace cw::prefixes
