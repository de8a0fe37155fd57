// What discovery concludes from the resources: the services of the clusterset, the exports that are
// not used, and the clusters that are stale. Pure.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "api/mcs/export_book.h"
#include "api/mcs/imports.h"
#include "api/types/cluster_peer.h"
#include "api/types/namespace.h"
#include "api/types/node.h"
#include "api/types/remote_export.h"
#include "discovery/mcs/merge.h"

namespace cw::discovery {

template <typename T>
using Items = std::map<api::ObjectKey, std::shared_ptr<const T>>;

struct ClustersetService {
  std::shared_ptr<const MergedService> merged;  // unchanged while its records are
  std::set<std::string> stale;                  // exporters that are away
  std::set<std::string> dropped{};              // exporters that were away for too long; left out
};

struct View {
  std::map<api::ObjectKey, ClustersetService> services;
  // When the records of the next cluster are dropped, if it stays away. For a timer.
  std::optional<WallTime> next_drop;
  // Clusters whose records were dropped.
  std::set<std::string> dropped;
  // Names that this cluster exports, with the clusters whose exports of the same name are therefore
  // not used.
  std::map<api::ObjectKey, std::set<std::string>> kept_out;
};
// Keeps a View up to date. It is told what changed and computes only the services concerned. So one
// changed record among 10,000 costs the work for its service. Pure.
class ViewBook {
 public:
  explicit ViewBook(Duration stale_drop) : stale_drop_(stale_drop) {}

  // Sets this cluster's id. RemoteExports with this id are a configuration error and are ignored.
  void set_cluster(const std::string& cluster);
  [[nodiscard]] const std::string& cluster() const { return cluster_; }
  void set_own(const api::ObjectKey& service, RecordPtr record);  // null: no valid export here
  // `is`: this cluster has a ServiceExport of that name, valid or not.
  void set_exported(const api::ObjectKey& service, bool is);
  // The imports of each peer. Exports of a cluster without a ClusterPeer are not used.
  void set_peers(const Items<api::ClusterPeer>& peers);
  void set_remote(const api::ObjectKey& key, std::shared_ptr<const api::RemoteExport> object);
  void set_away(api::Away clusters);
  // Updates the View. Returns the services that changed.
  std::set<api::ObjectKey> update(WallTime now);
  [[nodiscard]] const View& view() const { return view_; }

 private:
  struct Sources {
    RecordPtr local;
    bool exported = false;            // this cluster has a ServiceExport
    Items<api::RemoteExport> remote;  // by the RemoteExport's key
  };
  void forget(const api::ObjectKey& key);
  void dirty_all_of(const std::set<std::string>& clusters);
  void drop(WallTime now);
  bool record_kept_out(const api::ObjectKey& service, std::set<std::string> clusters);
  // The service. `kept_out` gets the clusters that are left out because this cluster exports the
  // name.
  [[nodiscard]] std::optional<ClustersetService> service_of(const Sources& sources,
                                                            const ClustersetService* before,
                                                            std::set<std::string>& kept_out) const;
  [[nodiscard]] std::optional<Claimant> claimant_of(
      const std::shared_ptr<const api::RemoteExport>& remote, bool exported,
      std::set<std::string>& kept_out) const;

  Duration stale_drop_;
  std::string cluster_;
  api::PeersByCluster peers_;
  api::Away away_;
  std::set<std::string> gone_;                      // away for longer than stale_drop_
  std::map<api::ObjectKey, Sources> sources_;       // by service
  std::map<api::ObjectKey, api::ObjectKey> where_;  // RemoteExport -> service
  std::map<std::string, std::size_t> records_;      // the number of RemoteExports per cluster
  std::set<api::ObjectKey> dirty_;
  View view_;
};

// The pod prefixes of this cluster, which contain its exports' endpoints.
[[nodiscard]] std::vector<Prefix> pod_cidrs(const Items<api::Node>& nodes);
// The same and the nodes' own addresses: the clients of the DNS server.
[[nodiscard]] std::vector<Prefix> clients_of(const Items<api::Node>& nodes);

// The conditions Valid, Ready and Conflict of a ServiceExport of this cluster. Also Reachable if
// endpoints are or were missing, and Shared if peers' exports of its name are or were not used.
[[nodiscard]] std::vector<api::Condition> export_conditions(const api::ServiceExport& object,
                                                            const api::ExportBook::Entry& entry,
                                                            const View& view);

}  // namespace cw::discovery
