// The resources that discovery watches, one cache per kind, and this cluster's id. Foreign Services
// and EndpointSlices are kept only as far as exports need them. Loop thread only.
#pragma once

#include <functional>
#include <map>
#include <set>

#include "api/store/informer.h"
#include "api/types/own_cluster.h"
#include "prefixes/watch.h"

namespace cw::discovery {

using Keys = std::set<api::ObjectKey>;
// The objects that changed. Each kind has an entry.
using Changes = std::map<api::Kind, Keys>;

struct SourceContext {
  Loop& loop;
  api::Store& store;
  Random& random;
  std::function<void(api::Kind)> on_change;  // called after each change in the cache of a kind
  const std::string& ns;                     // Causeway's namespace
};

template <typename T>
struct Source : api::Informer<T> {
  explicit Source(const SourceContext& in)
      : api::Informer<T>(in.loop, in.store, in.random, [on = in.on_change] { on(T::kKind); }) {
    this->track_changes();
  }
};

struct Sources {
  explicit Sources(const SourceContext& in);

  [[nodiscard]] bool synced() const;     // all kinds were listed at least once
  [[nodiscard]] bool available() const;  // the store answers for all kinds that names depend on
  // The changes since the last call.
  [[nodiscard]] Changes take_changes();
  // Reads this cluster's id into own_cluster. False: there is no id yet.
  [[nodiscard]] bool read_own_cluster();
  // The Nodes. Each has the prefixes that the pod network gives it, in place of spec.podCIDRs.
  [[nodiscard]] prefixes::Items<api::Node> nodes() const;

  Source<api::ClusterProperty> properties;
  Source<api::ServiceExport> exports;
  Source<api::Service> services;
  Source<api::EndpointSlice> slices;
  prefixes::PodNetworkWatch pods;  // and the Nodes
  Source<api::Namespace> namespaces;
  Source<api::RemoteExport> remote;
  Source<api::ClusterPeer> peers;
  Source<api::ServiceImport> imports;
  api::OwnCluster own_cluster;
  bool nodes_changed = false;  // since take_changes()
};

}  // namespace cw::discovery
