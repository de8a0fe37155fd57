// The objects in the store that the gateway reads: one informer per kind, and conclusions from
// several objects. Secrets are read by name only, so each has its own informer. Loop thread only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/store/informer.h"
#include "base/never_a_peers.h"
#include "gateway/feed/statement.h"
#include "gateway/identity.h"
#include "prefixes/obstacles_watch.h"
#include "prefixes/watch.h"
#include "tunnel/key.h"
#include "tunnel/probe/packet.h"

namespace cw::gateway {

class ClusterView {
 public:
  // `on_change` is called after each change, except for changes of RouteAgents that leave their
  // keys alone. The owner debounces bursts. `key_secret` is the Secret with this gateway's own key.
  // Empty: the key is in a file.
  ClusterView(Loop& loop, api::Store& store, Random& random, std::string ns,
              const std::string& key_secret, std::function<void()> on_change);

  api::Informer<api::ClusterProperty> properties;
  prefixes::PodNetworkWatch pods;  // and the Nodes
  prefixes::ObstaclesWatch obstacles;
  api::Informer<api::TunnelGateway> gateways;
  api::Informer<api::RouteAgent> agents;  // without status: 1,000 change at a failover
  api::Informer<api::ClusterPeer> peers;
  api::Informer<api::Secret> overlay_key;
  std::optional<api::Informer<api::Secret>> private_key;
  api::Informer<api::ServiceExport> exports;
  api::Informer<api::Service> services;
  api::Informer<api::EndpointSlice> slices;

  // This cluster's id. kNotFound: not in the store yet. kInvalid: not a DNS label.
  [[nodiscard]] Result<std::string> cluster_id() const;
  // Good once all kinds that decide about tunnels and announcements were listed. Otherwise the
  // error names one that was not.
  [[nodiscard]] Result<> synced() const;
  [[nodiscard]] bool exports_synced() const;
  // All pod prefixes of the cluster, sorted.
  [[nodiscard]] std::vector<Prefix> cidrs() const;
  [[nodiscard]] std::vector<Prefix> own_prefixes(const std::string& node) const;
  // The pod prefixes of every node.
  [[nodiscard]] const prefixes::NodePrefixes& prefixes() const;
  // Networks of the cluster other than its pods. No remote cluster may claim a part of them.
  [[nodiscard]] std::vector<OwnPrefixes> networks() const;
  // This gateway's Node, or null.
  [[nodiscard]] std::shared_ptr<const api::Node> node(const std::string& name) const {
    return pods.nodes().find({"", name});
  }
  // The other gateways of this cluster, as the announcement lists them.
  [[nodiscard]] std::vector<GatewayStatement> other_gateways(std::uint32_t self) const;
  // The public keys of this cluster's nodes (RouteAgent.spec), by Node name. A node whose
  // RouteAgent is deleted keeps its key, so that no traffic stops. The key goes with the Node.
  [[nodiscard]] std::map<std::string, tunnel::Key> node_keys() const;
  // Reads the Secrets that ClusterPeers name now, each by its name. Call it after each change.
  void read_preshared_keys();
  // Pre-shared keys by Secret name. A key that was read once is kept until no ClusterPeer names its
  // Secret. So a deleted Secret stops no running tunnel.
  [[nodiscard]] const std::map<std::string, PresharedKey>& preshared_keys() const {
    return preshared_keys_;
  }

 private:
  [[nodiscard]] PrefixSet cluster_ips() const;
  void receive_agents();  // most changes of a RouteAgent are only of its status: ignored

  Loop& loop_;
  api::Store& store_;
  Random& random_;
  std::string ns_;
  std::function<void()> on_change_;
  std::map<std::string, std::unique_ptr<api::Informer<api::Secret>>> preshared_;
  std::map<std::string, PresharedKey> preshared_keys_;
  std::map<std::string, tunnel::Key> agent_keys_;
  bool agents_synced_ = false;
  // Computed again only after a Service changed: there may be 10,000.
  mutable std::optional<PrefixSet> cluster_ips_;
};

}  // namespace cw::gateway
