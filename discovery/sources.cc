#include "discovery/sources.h"

#include <utility>

#include "api/names.h"
#include "discovery/mcs/derived.h"

namespace cw::discovery {

Sources::Sources(const SourceContext& in)
    : properties(in),
      exports(in),
      services(in),
      slices(in),
      pods(in.loop, in.store, in.random, in.ns,
           [this, on = in.on_change] {
             nodes_changed = true;
             on(api::Kind::kNode);
           }),
      namespaces(in),
      remote(in),
      peers(in),
      imports(in) {
  services.set_trim([](api::Service& object) {
    if (ours(object.meta)) return;
    object.meta.uid = {};
    object.meta.labels.clear();
    object.meta.annotations.clear();
  });
  slices.set_trim([](api::EndpointSlice& object) {
    if (ours(object.meta)) return;
    object.meta.uid = {};
    object.meta.annotations.clear();
    std::erase_if(object.meta.labels,
                  [](const auto& label) { return label.first != api::kServiceNameLabel; });
    for (auto& endpoint : object.endpoints) endpoint.node = {};
  });
  remote.set_trim([](api::RemoteExport& object) { object.meta.annotations.clear(); });
}

bool Sources::synced() const {
  return properties.synced() && exports.synced() && services.synced() && slices.synced() &&
         pods.synced() && namespaces.synced() && remote.synced() && peers.synced() &&
         imports.synced();
}

bool Sources::available() const {
  return properties.available() && exports.available() && services.available() &&
         slices.available() && pods.available() && remote.available() && peers.available();
}

prefixes::Items<api::Node> Sources::nodes() const {
  auto all = pods.nodes().items();
  for (auto& [key, node] : all) {
    auto own = pods.network().around(key.name);
    if (own == node->pod_cidrs) continue;
    auto changed = *node;
    changed.pod_cidrs = std::move(own);
    node = std::make_shared<const api::Node>(std::move(changed));
  }
  return all;
}

Changes Sources::take_changes() {
  using api::Kind;
  // Readers of Nodes need to know only that some changed.
  const auto nodes = std::exchange(nodes_changed, false) ? Keys{{}} : Keys{};
  return {{Kind::kClusterProperty, properties.take_changes()},
          {Kind::kServiceExport, exports.take_changes()},
          {Kind::kService, services.take_changes()},
          {Kind::kEndpointSlice, slices.take_changes()},
          {Kind::kNode, nodes},
          {Kind::kNamespace, namespaces.take_changes()},
          {Kind::kRemoteExport, remote.take_changes()},
          {Kind::kClusterPeer, peers.take_changes()},
          {Kind::kServiceImport, imports.take_changes()}};
}

bool Sources::read_own_cluster() {
  const auto id = properties.find({"", std::string(api::kClusterIdProperty)});
  if (id == nullptr || id->value.empty()) {
    // When the property appears, the informer calls again.
    if (own_cluster.id().empty()) {
      log_warn("no cluster id yet: create this ClusterProperty",
               {{"name", api::kClusterIdProperty}});
    }
    return false;
  }
  const auto before = own_cluster.trouble();
  own_cluster.take(id->value);
  if (const auto now = own_cluster.trouble(); now != before && !now.empty()) log_warn(now);
  return true;
}

}  // namespace cw::discovery
