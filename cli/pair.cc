#include "cli/pair.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "api/dir/yaml.h"
#include "api/types/codec.h"
#include "base/prefix_set.h"
#include "cli/output/yaml.h"
#include "tunnel/key.h"

namespace cw::cli {

namespace {

std::vector<Prefix> pod_prefixes(const std::vector<api::Node>& nodes) {
  std::vector<Prefix> all;
  for (const auto& node : nodes) {
    all.insert(all.end(), node.pod_cidrs.begin(), node.pod_cidrs.end());
  }
  return all;
}

Result<> keys_are_good(const api::ClusterPeer& peer, const OwnCluster& own) {
  std::map<std::string, std::string> seen;
  for (const auto& gateway : own.gateways) {
    seen[gateway.spec.public_key] = fmt::format("this cluster's gateway {}", gateway.spec.ordinal);
  }
  for (const auto& other : own.peers) {
    if (other.spec.cluster_id == peer.spec.cluster_id) continue;
    for (const auto& gateway : other.spec.gateways) {
      seen[gateway.public_key] =
          fmt::format("gateway {}/{}", other.spec.cluster_id, gateway.ordinal);
    }
  }
  std::set<std::uint32_t> ordinals;
  for (const auto& gateway : peer.spec.gateways) {
    const auto name = fmt::format("gateway {}/{}", peer.spec.cluster_id, gateway.ordinal);
    if (!ordinals.insert(gateway.ordinal).second) {
      return fail(Errc::kInvalid, fmt::format("{} stands there twice", name));
    }
    const auto key = tunnel::Key::from_base64(gateway.public_key);
    if (!key || key->is_zero()) {
      return fail(Errc::kInvalid, fmt::format("{}: \"{}\" is not a WireGuard public key", name,
                                              gateway.public_key));
    }
    const auto [at, fresh] = seen.emplace(gateway.public_key, name);
    if (!fresh) {
      return fail(Errc::kInvalid, fmt::format("{} has the same key as {}", name, at->second));
    }
  }
  return {};
}

Result<> prefixes_are_free(const api::ClusterPeer& peer, const OwnCluster& own) {
  if (peer.spec.allowed_cidrs.empty()) {
    return fail(Errc::kInvalid,
                fmt::format("cluster {} may claim no prefix (allowedCidrs is empty)",
                            peer.spec.cluster_id));
  }
  const PrefixSet local(pod_prefixes(own.nodes));
  std::vector<Prefix> addresses;
  for (const auto& node : own.nodes) {
    for (const auto& ip : node.internal_ips) addresses.push_back(Prefix::host(ip));
  }
  const PrefixSet underlay(addresses);
  for (const auto& prefix : peer.spec.allowed_cidrs) {
    if (const auto hit = local.overlapping(prefix)) {
      return fail(Errc::kInvalid,
                  fmt::format("{} of cluster {} overlaps this cluster's pods ({})",
                              prefix.to_string(), peer.spec.cluster_id, hit->to_string()));
    }
    if (const auto hit = underlay.overlapping(prefix)) {
      return fail(
          Errc::kInvalid,
          fmt::format("{} of cluster {} contains the address of a node here ({})",
                      prefix.to_string(), peer.spec.cluster_id, hit->address().to_string()));
    }
    for (const auto& other : own.peers) {
      if (other.spec.cluster_id == peer.spec.cluster_id) continue;
      if (const auto hit = PrefixSet(other.spec.allowed_cidrs).overlapping(prefix)) {
        return fail(Errc::kInvalid,
                    fmt::format("{} of cluster {} overlaps {} of cluster {}", prefix.to_string(),
                                peer.spec.cluster_id, hit->to_string(), other.spec.cluster_id));
      }
    }
  }
  return {};
}

}  // namespace

Result<api::ClusterPeer> peer_of(const OwnCluster& own, const ExportChoice& choice) {
  if (own.id.empty()) {
    return fail(Errc::kNotFound, fmt::format("this cluster has no name: create ClusterProperty {}",
                                             api::kClusterIdProperty));
  }
  api::ClusterPeer peer;
  peer.meta.key.name = own.id;
  peer.spec.cluster_id = own.id;
  for (const auto& gateway : own.gateways) {
    if (gateway.spec.public_key.empty()) continue;
    peer.spec.gateways.push_back({gateway.spec.ordinal, gateway.spec.public_key, {}});
    if (!choice.without_endpoints) peer.spec.gateways.back().endpoints = gateway.spec.endpoints;
  }
  std::sort(peer.spec.gateways.begin(), peer.spec.gateways.end(),
            [](const auto& a, const auto& b) { return a.ordinal < b.ordinal; });
  if (peer.spec.gateways.empty()) {
    return fail(Errc::kNotFound,
                "no gateway of this cluster has announced its key yet: start causeway-gateway");
  }
  const auto prefixes = choice.cidrs.empty() ? pod_prefixes(own.nodes) : choice.cidrs;
  peer.spec.allowed_cidrs = PrefixSet(prefixes).outermost();
  if (peer.spec.allowed_cidrs.empty()) {
    return fail(Errc::kNotFound, "no node has a pod prefix: name them with --cidr");
  }
  return peer;
}

std::string peer_yaml(const api::ClusterPeer& peer) {
  const auto body = api::encode(peer);
  nlohmann::ordered_json document;
  document["apiVersion"] = body.at("apiVersion");
  document["kind"] = body.at("kind");
  document["metadata"]["name"] = peer.meta.key.name;
  document["spec"] = body.at("spec");
  return to_yaml(document);
}

Result<api::ClusterPeer> parse_peer(std::string_view text, const std::string& name) {
  const auto body = api::parse_yaml(text, name);
  if (!body) return fail(body.error());
  const auto kind = body->is_object() ? body->value("kind", nlohmann::json()) : nlohmann::json();
  if (kind != "ClusterPeer") {
    return fail(Errc::kInvalid, fmt::format("{}: kind is not ClusterPeer", name));
  }
  auto peer = api::decode<api::ClusterPeer>(*body);
  if (!peer) return fail(std::move(peer.error()).context(name));
  return peer;
}

Result<> acceptable(const api::ClusterPeer& peer, const OwnCluster& own) {
  if (own.id.empty()) {
    return fail(Errc::kInvalid, fmt::format("this cluster has no name: create ClusterProperty {}",
                                            api::kClusterIdProperty));
  }
  if (peer.spec.cluster_id == own.id) {
    return fail(Errc::kInvalid, fmt::format("{} is this cluster itself", own.id));
  }
  if (!api::is_dns_label(peer.spec.cluster_id)) {
    return fail(Errc::kInvalid,
                fmt::format("\"{}\" is not a cluster id (a DNS label)", peer.spec.cluster_id));
  }
  if (peer.meta.key.name != peer.spec.cluster_id) {
    return fail(Errc::kInvalid, fmt::format("the ClusterPeer is named {} but is cluster {}",
                                            peer.meta.key.name, peer.spec.cluster_id));
  }
  const auto& secret = peer.spec.preshared_key_secret;
  if (!secret.empty() && !api::is_dns_label(secret)) {
    return fail(Errc::kInvalid, "presharedKeySecret is not a Secret's name (a DNS label)");
  }
  if (peer.spec.gateways.empty()) {
    return fail(Errc::kInvalid, fmt::format("cluster {} has no gateway", peer.spec.cluster_id));
  }
  if (auto good = keys_are_good(peer, own); !good) return good;
  return prefixes_are_free(peer, own);
}

}  // namespace cw::cli
