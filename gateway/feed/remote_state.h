// The judged statements of all remote clusters. Takes the feed's input (inflow.h) and the
// ClusterPeers, and keeps what admission.h accepts. Every gateway has one. The gateway with the
// import Lease writes it to the store (import_writer.h). Exports are kept encoded (a few hundred
// bytes each). A call about one export is short. When a cluster's prefixes or its spec.imports
// change, recheck() judges all its exports again, in parts. A call that changes what clusters may
// claim looks at all prefixes. Loop thread only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "api/mcs/imports.h"
#include "api/types/cluster_peer.h"
#include "api/types/service_export.h"
#include "gateway/feed/admission.h"
#include "gateway/feed/messages.h"

namespace cw::gateway {

// The accepted statements of one cluster.
struct AcceptedCluster {
  // Before the first announcement: the ClusterPeer's last known status.
  std::vector<Prefix> cidrs;                  // sorted
  NodePrefixes nodes;                         // who has them
  std::vector<api::LearnedGateway> gateways;  // by ordinal
  std::vector<Refusal> refusals;              // those of the announcement first; bounded
  LeftOutExports left_out;                    // by spec.imports
  bool complete = false;                      // all its exports are known, and all of ours
  bool heard = false;                         // it has announced something since the start
  friend bool operator==(const AcceptedCluster&, const AcceptedCluster&) = default;
};

class RemoteState {
 public:
  using Peers = std::map<api::ObjectKey, std::shared_ptr<const api::ClusterPeer>>;
  struct Listener {
    // clusters() changed.
    std::function<void()> on_clusters;
    // Only refusals or left_out in clusters() changed.
    std::function<void()> on_refusals;
    // Exports of `cluster` changed. Null: look at all of them again.
    std::function<void(const std::string& cluster, const api::ObjectKey* service)> on_export;
  };

  RemoteState();
  ~RemoteState();
  RemoteState(const RemoteState&) = delete;
  RemoteState& operator=(const RemoteState&) = delete;

  void set_listener(Listener listener);  // before any other call; optional

  // The feed's input. Clusters that are not paired are ignored.
  void connected(const std::string& cluster);  // a stream is up: its version fits
  void announce(const std::string& cluster, AnnouncedChange change);
  // The nodes in the cluster's announcement, before they are judged. Until the first one: none.
  [[nodiscard]] const NodePrefixes& announced(const std::string& cluster) const;
  // False: what is to be stored has not changed.
  bool put(const std::string& cluster, const api::ObjectKey& service, EncodedExport said);
  void withdraw(const std::string& cluster, const api::ObjectKey& service);
  void complete(const std::string& cluster);  // exports() has all of them
  // A message was dropped. It stays refused until a good message about the same subject comes, or a
  // snapshot without it.
  void refuse(const std::string& cluster, const FeedFault& fault);
  void begin_snapshot(const std::string& cluster);
  // Brings refusals and left_out into clusters(). The next call of another kind does it too. So a
  // change of one export does not look at all refusals.
  void publish_refusals();

  // Judges up to `most` exports again, of clusters whose prefixes or imports changed. True: more
  // are left.
  bool recheck(std::size_t most);

  // Sets the paired clusters. Returns those whose spec.imports changed: their exports that no rule
  // named were not kept, so the feed must ask for all again.
  std::vector<std::string> set_peers(const Peers& peers);
  // Sets this cluster's own prefixes, as it announces them. `own`: its other networks, which no
  // cluster may claim.
  void set_local(std::vector<Prefix> local_cidrs, std::vector<OwnPrefixes> own = {});

  // Sets this cluster's own ServiceExports. Until the first call no cluster is complete, because it
  // is unknown which names this cluster exports itself.
  using OwnExports = std::map<api::ObjectKey, std::shared_ptr<const api::ServiceExport>>;
  void set_exported(const OwnExports& exports);

  [[nodiscard]] const std::map<std::string, AcceptedCluster>& clusters() const;  // by cluster id
  struct Export {
    EncodedExport said;             // the record as the cluster sent it
    std::uint64_t fingerprint = 0;  // of what is to be stored (import_step.h)
    bool kept_out = false;          // this cluster exports the name itself
  };
  [[nodiscard]] const std::map<api::ObjectKey, Export>& exports(const std::string& cluster) const;
  // What is to be stored of an export: the accepted record, or that the export is kept out.
  struct Record {
    api::ExportRecord record;
    std::uint64_t fingerprint = 0;
    bool kept_out = false;
  };
  [[nodiscard]] std::optional<Record> record(const std::string& cluster,
                                             const api::ObjectKey& service) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cw::gateway
