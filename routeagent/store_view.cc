#include "routeagent/store_view.h"

#include <fmt/format.h>

#include "base/log.h"
#include "routeagent/node/hop.h"

namespace cw::routeagent {

RemoteView remote_view(const api::ClusterPeer& peer) {
  RemoteView remote{peer.spec.cluster_id, api::trusted_cidrs(peer), {}};
  for (const auto& gateway : peer.spec.gateways) {
    if (const auto key = tunnel::Key::from_base64(gateway.public_key)) remote.gateways.insert(*key);
  }
  return remote;
}

Error waiting_for_store(const std::string& error) {
  return {Errc::kUnavailable,
          fmt::format("waiting for the store{}{}", error.empty() ? "" : ": ", error)};
}

StoreView::StoreView(const Deps& deps, const std::function<void()>& on_change)
    : config_(deps.config),
      properties_(deps.loop, deps.store, deps.random, on_change),
      pods_(deps.loop, deps.store, deps.random, config_.ns, on_change, config_.node),
      gateways_(deps.loop, deps.store, deps.random, on_change),
      peers_(deps.loop, deps.store, deps.random, on_change),
      secrets_(deps.loop, deps.store, deps.random, on_change, config_.ns,
               std::string(kOverlaySecret)) {}

std::string StoreView::cluster_id() const {
  const auto id = properties_.find({"", std::string(api::kClusterIdProperty)});
  return id == nullptr ? std::string() : id->value;
}

void StoreView::record_cluster() {
  const auto before = own_cluster_.trouble();
  own_cluster_.take(cluster_id());
  if (const auto now = own_cluster_.trouble(); now != before && !now.empty()) log_warn(now);
}

std::optional<IpAddress> StoreView::underlay_of(const api::TunnelGateway::Spec& gateway) const {
  const auto node = pods_.nodes().find({"", gateway.node});
  if (node != nullptr && !node->internal_ips.empty()) return node->internal_ips.front();
  if (gateway.node_ip.is_unspecified()) return std::nullopt;
  return gateway.node_ip;
}

std::string StoreView::trouble() const {
  const auto& id = own_cluster_.trouble();
  return id.empty() ? pods_.trouble() : id;
}

Result<> StoreView::add_to(Seen& seen) const {
  if (!properties_.synced()) return fail(waiting_for_store(properties_.last_error()));
  if (auto synced = pods_.synced(); !synced) return synced;
  if (!gateways_.synced()) return fail(waiting_for_store(gateways_.last_error()));
  if (!peers_.synced()) return fail(waiting_for_store(peers_.last_error()));
  if (!secrets_.synced()) return fail(waiting_for_store(secrets_.last_error()));
  if (cluster_id().empty()) {
    return fail(Errc::kNotFound, fmt::format("waiting for ClusterProperty {}: it names the cluster",
                                             api::kClusterIdProperty));
  }
  seen.cluster = own_cluster_.id();
  seen.forward_ours_only = config_.forward_ours_only;
  seen.rules = config_.rules;
  seen.prefix_source = pods_.network().source;
  seen.prefix_strangers = pods_.network().strangers;
  seen.own_by_source = pods_.own_by_source();
  for (const auto& [key, node] : pods_.nodes().items()) {
    for (const auto* ips : {&node->internal_ips, &node->external_ips}) {
      seen.node_addresses.insert(seen.node_addresses.end(), ips->begin(), ips->end());
    }
    if (node->internal_ips.empty()) {
      if (key.name != config_.node) continue;
      return fail(Errc::kNotFound, fmt::format("waiting for an InternalIP of Node {}", key.name));
    }
    NodeView view{key.name, node->internal_ips.front(), pods_.network().of(key.name)};
    if (key.name == config_.node) {
      view.pod_cidrs = pods_.network().around(key.name);
      view.whole = pods_.network().whole_cluster();
      seen.self = std::move(view);
    } else {
      seen.others.push_back(std::move(view));
    }
  }
  if (seen.self.name.empty()) {
    return fail(Errc::kNotFound, fmt::format("waiting for Node {}", config_.node));
  }
  for (const auto& [key, gateway] : gateways_.items()) {
    const auto& spec = gateway->spec;
    if (const auto ip = underlay_of(spec)) {
      const auto public_key = tunnel::Key::from_base64(spec.public_key);
      seen.gateways.push_back(
          {spec.ordinal, spec.node, *ip, public_key ? std::optional(*public_key) : std::nullopt});
    }
  }
  for (const auto& [key, peer] : peers_.items()) {
    if (peer->spec.cluster_id == seen.cluster || peer->spec.unpaired) continue;
    seen.remotes.push_back(remote_view(*peer));
  }
  return {};
}

void StoreView::teach(Closed& closed, const HostFacts& host) const {
  if (!properties_.synced() || !pods_.synced() || !gateways_.synced() || !peers_.synced() ||
      cluster_id().empty()) {
    return;
  }
  const auto pods = pods_.network().all();
  std::vector<Prefix> addresses;
  for (const auto& [key, node] : pods_.nodes().items()) {
    for (const auto& ip : node->internal_ips) addresses.push_back(Prefix::host(ip));
  }
  for (const auto& [key, gateway] : gateways_.items()) {
    const auto& ip = gateway->spec.node_ip;
    if (!ip.is_unspecified()) addresses.push_back(Prefix::host(ip));
  }
  if (config_.overlay == OverlayMode::kWireguard) addresses.push_back(hop_network());
  std::vector<PeerPrefixes> peers;
  for (const auto& [key, peer] : peers_.items()) {
    const auto& spec = peer->spec;
    if (spec.cluster_id == own_cluster_.id()) continue;
    peers.push_back({spec.cluster_id, spec.unpaired, spec.allowed_cidrs, peer->status.cidrs});
  }
  std::vector<OwnPrefixes> own{{"pods of this cluster", PrefixSet(pods)},
                               {"a node of this cluster", PrefixSet(addresses)}};
  own.insert(own.end(), host.networks.begin(), host.networks.end());
  closed.learn(peers, own);
}

std::optional<std::set<std::string>> StoreView::gateway_nodes() const {
  if (!gateways_.synced()) return std::nullopt;
  std::set<std::string> nodes;
  for (const auto& [key, gateway] : gateways_.items()) nodes.insert(gateway->spec.node);
  return nodes;
}

std::shared_ptr<const api::Secret> StoreView::overlay_secret() const {
  return secrets_.find({config_.ns, std::string(kOverlaySecret)});
}

}  // namespace cw::routeagent
