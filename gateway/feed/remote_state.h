// What all remote clusters say of themselves, judged: takes what the feed brings (inflow.h) and the
// ClusterPeers, keeps what admission.h accepts. Every gateway has one; the one that holds the
// import Lease writes it to the store (importer.h). Exports are kept in wire form (a few hundred
// bytes each). A call about one export is short. A change of a cluster's prefixes or of its
// spec.imports means another look at all its exports, which recheck() does in parts. Calls that
// change what clusters may claim look at all prefixes. Loop thread only.
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
#include "gateway/feed/statement.h"

namespace cw::gateway {

// One cluster, as accepted.
struct AcceptedCluster {
  std::vector<Prefix> cidrs;                  // sorted
  std::vector<api::LearnedGateway> gateways;  // by ordinal
  std::vector<Refusal> refusals;              // first those of the announcement; bounded
  LeftOutExports left_out;                    // by spec.imports
  bool announced = false;  // false: nothing heard since we started; cidrs and gateways are the
                           // ClusterPeer's last known status
  bool complete = false;   // all its exports are known, and all of ours
  bool feed_connected = false;
  friend bool operator==(const AcceptedCluster&, const AcceptedCluster&) = default;
};

class RemoteState {
 public:
  using Peers = std::map<api::ObjectKey, std::shared_ptr<const api::ClusterPeer>>;
  struct Listener {
    // clusters() changed.
    std::function<void()> on_clusters;
    // Only refusals in clusters() did.
    std::function<void()> on_refusals;
    // Exports of `cluster` changed; null: look at all of them again.
    std::function<void(const std::string& cluster, const api::ObjectKey* service)> on_export;
  };

  RemoteState();
  ~RemoteState();
  RemoteState(const RemoteState&) = delete;
  RemoteState& operator=(const RemoteState&) = delete;

  void set_listener(Listener listener);  // before anything else; may be left out

  // What the feed brings. Clusters that are not paired are ignored.
  void set_connected(const std::string& cluster, bool connected);
  void announce(const std::string& cluster, Announcement announcement);
  // False: nothing is to be stored for it, now or no longer.
  bool put(const std::string& cluster, const api::ObjectKey& service, std::string wire);
  void drop(const std::string& cluster, const api::ObjectKey& service);
  void complete(const std::string& cluster);  // exports() are all there are
  // A message was dropped. It stays refused until a good one comes about the same subject, or a
  // snapshot without it.
  void refuse(const std::string& cluster, const FeedFault& fault);
  void begin_snapshot(const std::string& cluster);
  // What is refused and left out reaches clusters() with this call, or with the next of another
  // kind: one change of an export costs no look at all refusals.
  void tell_refusals();

  // Judges up to `most` exports again whose cluster's prefixes or imports changed. True: there are
  // more.
  bool recheck(std::size_t most);

  // The paired clusters now, and this cluster's own prefixes (its announcement's).
  void set_peers(const Peers& peers);
  // `own`: its other networks, which no cluster may claim.
  void set_local(std::vector<Prefix> local_cidrs, std::vector<OwnPrefixes> own = {});

  // This cluster's own ServiceExports. Until the first call no cluster is complete: which of its
  // names are ours is not known.
  using OwnExports = std::map<api::ObjectKey, std::shared_ptr<const api::ServiceExport>>;
  void set_exported(const OwnExports& exports);

  [[nodiscard]] const std::map<std::string, AcceptedCluster>& clusters() const;  // by cluster id
  struct Export {
    std::string wire;               // as the cluster said it
    std::uint64_t fingerprint = 0;  // of what is to be stored: imports.h, fingerprint_of()
    bool kept_out = false;          // this cluster exports the name itself
  };
  [[nodiscard]] const std::map<api::ObjectKey, Export>& exports(const std::string& cluster) const;
  // What is to be stored of an export: the record as accepted, or that it is kept out.
  struct Record {
    api::ExportRecord record;
    bool kept_out = false;
  };
  [[nodiscard]] std::optional<Record> record(const std::string& cluster,
                                             const api::ObjectKey& service) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cw::gateway
