// Writes what the RemoteState accepted into the store: ClusterPeer.status and RemoteExports, while
// this gateway holds the import Lease. A cluster that is away keeps its records. They are removed
// when the cluster is unpaired or withdraws them. Records wait until their Namespace exists. Loop
// thread only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "api/names.h"
#include "api/store/store.h"
#include "base/random.h"
#include "gateway/feed/remote_state.h"
#include "gateway/peers/roster.h"

namespace cw::gateway {

using api::kImportLease;
// Writes of RemoteExports in flight. Discovery has fewer: names are made from RemoteExports, and
// ServiceImports may come later.
inline constexpr std::size_t kMaxWrites = 64;

struct ImporterConfig {
  std::string ns = std::string(api::kDefaultNamespace);  // of the Lease
  std::string identity;  // unique per process: "<cluster>-gateway-<ordinal>-<pid>"
  // Grace period after the start before a cluster that was connected earlier is reported lost.
  Duration settle = std::chrono::seconds(10);
  Duration resync = std::chrono::seconds(60);  // a full pass even without events
};

class Importer {
 public:
  // Makes itself the RemoteState's listener, and passes on_clusters and on_refusals on to the
  // owner.
  Importer(Loop& loop, api::Store& store, Random& random, ImporterConfig config,
           RemoteState& intake, std::function<void()> on_clusters = {},
           std::function<void()> on_refusals = {});
  ~Importer();
  Importer(const Importer&) = delete;
  Importer& operator=(const Importer&) = delete;

  // The clusters that at least one local gateway has a working tunnel to.
  void set_connected(std::vector<std::string> clusters);

  // ClusterPeers that do not count at all, and those some of whose gateways do not count.
  void set_troubles(const std::map<api::ObjectKey, Trouble>& refused,
                    const std::map<api::ObjectKey, Trouble>& left_out);

  [[nodiscard]] bool leading() const;
  [[nodiscard]] bool idle() const;           // nothing left to write (or not leading)
  void release(std::function<void()> done);  // frees the Lease for a quick hand-over

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cw::gateway
