// Writes what the RemoteState accepted into the store: ClusterPeer.status and RemoteExports, while
// this gateway holds the import Lease. A cluster that is away keeps its records; they go when the
// cluster is unpaired or withdraws them. Records wait until their Namespace exists. Writes are at
// most kMaxWrites at a time, one a key, newest wins; a conflict is retried on a fresh read. Loop
// thread only.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "api/names.h"
#include "api/store/store.h"
#include "base/random.h"
#include "gateway/feed/remote_state.h"

namespace cw::gateway {

using api::kImportLease;
// More than discovery has under way: names come from RemoteExports, ServiceImports may come later.
inline constexpr std::size_t kMaxWrites = 64;

struct ImporterConfig {
  std::string ns = std::string(api::kDefaultNamespace);  // of the Lease
  std::string identity;  // unique a process: "<cluster>-gateway-<ordinal>-<pid>"
  // So long a start may take until a cluster that was connected before counts as lost.
  Duration settle = std::chrono::seconds(10);
  Duration resync = std::chrono::seconds(60);  // a full pass even without events
};

class Importer {
 public:
  // Makes itself the RemoteState's listener; on_clusters and on_refusals are passed on to the
  // owner.
  Importer(Loop& loop, api::Store& store, Random& random, ImporterConfig config,
           RemoteState& intake, std::function<void()> on_clusters = {},
           std::function<void()> on_refusals = {});
  ~Importer();
  Importer(const Importer&) = delete;
  Importer& operator=(const Importer&) = delete;

  // The clusters that at least one local gateway has a working tunnel to.
  void set_connected(std::vector<std::string> clusters);

  [[nodiscard]] bool leading() const;
  [[nodiscard]] bool idle() const;                      // nothing left to write (or not leading)
  [[nodiscard]] const std::string& last_error() const;  // of the last failed write; empty: none
  void release(std::function<void()> done);             // frees the Lease for a quick hand-over

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cw::gateway
