// The gateways of a cluster elect the one that writes imports: the holder of the import Lease has
// an ImportWriter. What the gateway knows of its peers lies here, because it outlives the writer.
// Loop thread only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "api/store/lease_elector.h"
#include "gateway/feed/import_writer.h"

namespace cw::gateway {

class ImportLease {
 public:
  ImportLease(Loop& loop, api::Store& store, Random& random, const api::LeaseConfig& lease,
              const RemoteState& remotes);
  ImportLease(const ImportLease&) = delete;
  ImportLease& operator=(const ImportLease&) = delete;

  // The clusters that at least one local gateway has a working tunnel to.
  void set_connected(std::set<std::string> clusters);

  // ClusterPeers that do not count at all, and those some of whose gateways do not count.
  void set_troubles(const std::map<api::ObjectKey, Trouble>& refused,
                    const std::map<api::ObjectKey, Trouble>& left_out);
  // What remote clusters refuse of this one, by cluster id.
  void set_refusals(const std::map<std::string, RefusalReport>& told);

  // Null: another gateway has the Lease, or it is not known yet.
  [[nodiscard]] ImportWriter* writer() const { return writer_.get(); }
  // Frees the Lease for a quick hand-over.
  void release(std::function<void()> done) { elector_.release(std::move(done)); }

 private:
  void lead(bool leads);

  Loop& loop_;
  api::Store& store_;
  Random& random_;
  const RemoteState& remotes_;
  const api::ObjectKey lease_;
  PeerFacts facts_;
  api::EventRecorder events_;
  std::unique_ptr<ImportWriter> writer_;  // while this gateway has the Lease
  Handle resync_;
  api::LeaseElector elector_;
};

}  // namespace cw::gateway
