// What the store says of this cluster: its id, nodes, gateways, remote clusters and the overlay
// secret. Loop thread only.
#pragma once

#include "api/names.h"
#include "api/store/informer.h"
#include "api/types/own_cluster.h"
#include "prefixes/watch.h"
#include "routeagent/deps.h"
#include "routeagent/node/desired.h"

namespace cw::routeagent {

// The Secret in Config::ns from which cw-vx gets its VNI and MACs (node/vtep.h).
using api::kOverlayEntry;
using api::kOverlaySecret;

// What this node believes of a ClusterPeer: the prefixes of the status that lie inside one of the
// spec's allowedCidrs, and the keys of the spec's gateways. Gateways write the status, an
// administrator writes the spec. So a stolen gateway token cannot move other traffic into the
// tunnels. Pure.
[[nodiscard]] RemoteView remote_view(const api::ClusterPeer& peer);
// Why a pass cannot run: the store has not answered. `error`: its last one, or empty.
[[nodiscard]] Error waiting_for_store(const std::string& error);

class StoreView {
 public:
  StoreView(const Deps& deps, const std::function<void()>& on_change);

  // For the start of a pass: reads the cluster's id.
  void record_cluster();
  // Adds the store's part. An error says what is still missing.
  [[nodiscard]] Result<> add_to(Seen& seen) const;
  // Tells `closed` the prefixes of remote clusters and the own ones of this cluster and this host.
  // Nothing while it is unknown which prefixes are this cluster's own.
  void teach(Closed& closed, const HostFacts& host) const;
  // The nodes that TunnelGateway objects name; none: not known yet.
  [[nodiscard]] std::optional<std::set<std::string>> gateway_nodes() const;
  // Null: there is none.
  [[nodiscard]] std::shared_ptr<const api::Node> own_node() const {
    return pods_.nodes().find({"", config_.node});
  }
  [[nodiscard]] std::shared_ptr<const api::Secret> overlay_secret() const;
  // What is wrong with the cluster's id or with causeway-prefixes; empty: nothing.
  [[nodiscard]] std::string trouble() const;

 private:
  [[nodiscard]] std::string cluster_id() const;  // as the store has it now; empty: there is none
  [[nodiscard]] std::optional<IpAddress> underlay_of(const api::TunnelGateway::Spec& gateway) const;

  const Config& config_;
  api::OwnCluster own_cluster_;
  api::Informer<api::ClusterProperty> properties_;
  prefixes::PodNetworkWatch pods_;  // and the Nodes
  api::Informer<api::TunnelGateway> gateways_;
  api::Informer<api::ClusterPeer> peers_;
  api::Informer<api::Secret> secrets_;
};

}  // namespace cw::routeagent
