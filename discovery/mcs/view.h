// Everything discovery concludes from the resources it sees: which services the clusterset has,
// what to write about them, whose endpoints are stale. Pure: snapshots in, wanted objects out.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "api/mcs/export_book.h"
#include "api/types/cluster_peer.h"
#include "api/types/namespace.h"
#include "api/types/node.h"
#include "api/types/remote_export.h"
#include "discovery/mcs/merge.h"

namespace cw::discovery {

template <typename T>
using Items = std::map<api::ObjectKey, std::shared_ptr<const T>>;

struct ViewInputs {
  std::string cluster;  // our id
  const std::map<api::ObjectKey, api::ExportBook::Entry>& local;
  const Items<api::RemoteExport>& remote;
  const Items<api::ClusterPeer>& peers;
  WallTime now{};
  Duration stale_drop{};
};

struct ClustersetService {
  std::shared_ptr<const MergedService> merged;  // the same object while its records are
  std::set<std::string> stale;                  // exporters that are away
};

struct View {
  std::map<api::ObjectKey, ClustersetService> services;
  // Clusters whose records will be dropped, and when next; for a timer.
  std::optional<WallTime> next_drop;
};
// `before` saves merging again what did not change.
[[nodiscard]] View view_of(const ViewInputs& inputs, const View& before = {});

// Our own pod prefixes: what our exports' endpoints lie in.
[[nodiscard]] std::vector<Prefix> pod_cidrs(const Items<api::Node>& nodes);

// The Valid, Ready and Conflict conditions of one of our ServiceExports.
[[nodiscard]] std::vector<api::Condition> export_conditions(const api::ServiceExport& object,
                                                            const api::ExportBook::Entry& entry,
                                                            const View& view);

}  // namespace cw::discovery
