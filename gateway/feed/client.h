// The other side of the feed: follows every remote cluster through one of its gateways at a time,
// by gRPC inside the tunnel, and changes to the next gateway when the stream ends or falls silent.
// Consumers see whole snapshots or single changes, of a cluster about itself, not yet judged
// (admission.h does). One network thread only parses; what waits for the loop is bounded, newest
// wins.
//
// All methods and callbacks are on the loop thread. No callback comes from within a method.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/loop.h"
#include "base/random.h"
#include "gateway/feed/statement.h"
#include "tunnel/key.h"

namespace cw::gateway {

struct FeedClientConfig {
  GatewayId self;                                // as our WatchRequest says
  tunnel::Key private_key{};                     // ours: every server sees it proven
  std::optional<IpAddress> local_address;        // source to bind to: our control address
  std::uint16_t port = 0;                        // of all servers
  Duration heartbeat = std::chrono::seconds(1);  // three without a message: the stream is lost
  std::chrono::milliseconds first_retry{100};    // doubles up to most_retry, with jitter
  std::chrono::milliseconds most_retry{5000};
  double snapshots_at_once = 10;  // that one cluster may begin; then one each `snapshot_every`
  Duration snapshot_every = std::chrono::seconds(10);
};

// A remote gateway: where it is, and the key that it must prove to have.
struct FeedTarget {
  IpAddress address;
  tunnel::Key key;
  friend bool operator==(const FeedTarget&, const FeedTarget&) = default;
};

struct FeedCallbacks {
  // True once a snapshot is complete or a resumed stream speaks; false when the stream is lost.
  std::function<void(const std::string& cluster, bool connected)> on_state;
  std::function<void(const std::string& cluster, Announcement)> on_announcement;
  // All exports there are: what is not in it is gone.
  std::function<void(const std::string& cluster, ExportMap)> on_snapshot;
  // In the form of encode_record().
  std::function<void(const std::string& cluster, const api::ObjectKey& service, std::string wire)>
      on_export;
  std::function<void(const std::string& cluster, const api::ObjectKey& service)> on_withdrawn;
  // A message was dropped: not readable or over a limit. The stream goes on.
  std::function<void(const std::string& cluster, const FeedFault& fault)> on_refused;
};

class FeedClient {
 public:
  FeedClient(Loop& loop, Random& random, FeedClientConfig config, FeedCallbacks callbacks);
  ~FeedClient();
  FeedClient(const FeedClient&) = delete;
  FeedClient& operator=(const FeedClient&) = delete;

  // A cluster's usable gateways, best first. A stream to one that is still
  // in the list goes on. Empty: the stream ends, the cluster is known no more (no callbacks).
  void set_targets(const std::string& cluster, std::vector<FeedTarget> targets);

  // Ends the cluster's stream, if there is one; the next one begins with a snapshot. Not from
  // within a callback.
  void resync(const std::string& cluster);

  struct View {
    std::optional<IpAddress> target;  // being followed or tried
    bool connected = false;
    std::string last_error;
  };
  [[nodiscard]] std::map<std::string, View> view() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cw::gateway
