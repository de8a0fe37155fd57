// The resources that discovery watches, one cache per kind, and this cluster's id. Foreign Services
// and EndpointSlices are kept only as far as exports need them. Loop thread only.
#pragma once

#include <functional>
#include <map>
#include <set>

#include "api/store/informer.h"
#include "api/types/own_cluster.h"

namespace cw::discovery {

using Keys = std::set<api::ObjectKey>;
// The objects that changed. Each kind has an entry.
using Changes = std::map<api::Kind, Keys>;

struct SourceContext {
  Loop& loop;
  api::Store& store;
  Random& random;
  std::function<void(api::Kind)> on_change;  // called after each change in the cache of a kind
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

  Source<api::ClusterProperty> properties;
  Source<api::ServiceExport> exports;
  Source<api::Service> services;
  Source<api::EndpointSlice> slices;
  Source<api::Node> nodes;
  Source<api::Namespace> namespaces;
  Source<api::RemoteExport> remote;
  Source<api::ClusterPeer> peers;
  Source<api::ServiceImport> imports;
  api::OwnCluster own_cluster;
};

}  // namespace cw::discovery
