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
  std::shared_ptr<const MergedService> merged;  // the same object while its records are
  std::set<std::string> stale;                  // exporters that are away
  std::set<std::string> dropped{};              // were away for too long: left out
};

struct View {
  std::map<api::ObjectKey, ClustersetService> services;
  // When the records of the next cluster that stays away are dropped; for a timer.
  std::optional<WallTime> next_drop;
  // Clusters whose records were dropped.
  std::set<std::string> dropped;
  // Names that this cluster exports itself, with the clusters whose exports of the same name are
  // therefore not used.
  std::map<api::ObjectKey, std::set<std::string>> kept_out;
};
// The clusters that we are paired with and no gateway of ours reaches, with the time since when, as
// far as it is known (else the epoch).
using Away = std::map<std::string, WallTime>;
[[nodiscard]] Away disconnected(const Items<api::ClusterPeer>& peers);

// Keeps a View current: told what changed, it works on the services concerned only, so that one
// record among 10,000 costs what its service costs. Pure.
class ViewBook {
 public:
  explicit ViewBook(Duration stale_drop) : stale_drop_(stale_drop) {}

  // Our id. Records that claim it from outside are a misconfiguration somewhere: our word counts.
  void set_cluster(const std::string& cluster);
  void local(const api::ObjectKey& service, RecordPtr record);  // null: no valid export of ours
  // Whether there is a ServiceExport of ours, valid or not.
  void exported(const api::ObjectKey& service, bool is);
  // What is imported from whom. A cluster without a ClusterPeer is imported from no longer.
  void set_peers(const Items<api::ClusterPeer>& peers);
  void remote(const api::ObjectKey& key, std::shared_ptr<const api::RemoteExport> object);
  void set_away(Away clusters);
  // Brings the View up to date; returns the services that are other than before.
  std::set<api::ObjectKey> update(WallTime now);
  [[nodiscard]] const View& view() const { return view_; }

 private:
  struct Sources {
    RecordPtr local;
    bool exported = false;            // we have a ServiceExport
    Items<api::RemoteExport> remote;  // by the RemoteExport's key
  };
  void forget(const api::ObjectKey& key);
  void dirty_all_of(const std::set<std::string>& clusters);
  void drop(WallTime now);
  bool note_kept_out(const api::ObjectKey& service, std::set<std::string> clusters);
  // The service, and in `kept_out` the clusters that are left out for our own export's sake.
  [[nodiscard]] std::optional<ClustersetService> service_of(const Sources& sources,
                                                            const ClustersetService* before,
                                                            std::set<std::string>& kept_out) const;
  [[nodiscard]] std::optional<Claimant> claimant_of(
      const std::shared_ptr<const api::RemoteExport>& remote, bool exported,
      std::set<std::string>& kept_out) const;

  Duration stale_drop_;
  std::string cluster_;
  api::PeersByCluster peers_;
  Away away_;
  std::set<std::string> gone_;                      // away for longer than stale_drop_
  std::map<api::ObjectKey, Sources> sources_;       // by service
  std::map<api::ObjectKey, api::ObjectKey> where_;  // RemoteExport -> service
  std::map<std::string, std::size_t> records_;      // how many RemoteExports of a cluster
  std::set<api::ObjectKey> dirty_;
  View view_;
};

// Our own pod prefixes: what our exports' endpoints lie in.
[[nodiscard]] std::vector<Prefix> pod_cidrs(const Items<api::Node>& nodes);
// And the nodes' own addresses: who may ask the DNS server.
[[nodiscard]] std::vector<Prefix> clients_of(const Items<api::Node>& nodes);

// The Valid, Ready and Conflict conditions of one of our ServiceExports, and Shared where peers'
// exports of its name are or were kept out.
[[nodiscard]] std::vector<api::Condition> export_conditions(const api::ServiceExport& object,
                                                            const api::ExportBook::Entry& entry,
                                                            const View& view);

}  // namespace cw::discovery
