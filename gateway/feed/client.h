// The receiving side of the feed. It follows every remote cluster through one of its gateways at a
// time, by gRPC inside the tunnel. When a stream ends or falls silent, it goes on to the next
// gateway. Its user gets batches of a cluster's statements about itself (stream.h), not yet judged
// (admission.h). One network thread only parses. What waits for the loop is bounded: of each export
// the newest version.
//
// All methods and callbacks are on the loop thread. No method calls back before it returns, except
// resync().
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/loop.h"
#include "base/random.h"
#include "gateway/feed/stream.h"
#include "tunnel/key.h"

namespace cw::gateway {

struct FeedClientConfig {
  GatewayId self;                                // as in our WatchRequest
  tunnel::Key private_key{};                     // ours: proven to every server
  std::optional<IpAddress> local_address;        // the source address: our control address
  std::uint16_t port = 0;                        // of all servers
  Duration heartbeat = std::chrono::seconds(1);  // three without a message end the stream
  std::chrono::milliseconds first_retry{100};    // doubles up to most_retry, with jitter
  std::chrono::milliseconds most_retry{5000};
  double snapshots_at_once = 10;  // of one cluster; then one per `snapshot_every`
  Duration snapshot_every = std::chrono::seconds(10);
};

// A remote gateway: its address, and the key that it must prove.
struct FeedTarget {
  IpAddress address;
  tunnel::Key key;
  friend bool operator==(const FeedTarget&, const FeedTarget&) = default;
};

struct FeedCallbacks {  // both must be set
  // True once a snapshot is complete or a resumed stream has sent a message. False when the stream
  // is lost.
  std::function<void(const std::string& cluster, bool connected)> on_state;
  // Its `refused` has messages that were dropped, because they were not readable or over a limit;
  // the stream goes on. Or the feed itself was refused: kVersionSubject, kSnapshotsSubject.
  std::function<void(const std::string& cluster, FeedBatch batch)> on_batch;
};

class FeedClient {
 public:
  FeedClient(Loop& loop, Random& random, FeedClientConfig config, FeedCallbacks callbacks);
  ~FeedClient();
  FeedClient(const FeedClient&) = delete;
  FeedClient& operator=(const FeedClient&) = delete;

  // Sets the usable gateways of all clusters, the best first; no list is empty. A stream to a
  // gateway that stays in its list goes on. Other clusters are forgotten, without callbacks.
  void set_targets(std::map<std::string, std::vector<FeedTarget>> targets);

  // Ends the cluster's stream, if there is one; the next one begins with a snapshot. May call
  // on_state before it returns. Must not be called from a callback.
  void resync(const std::string& cluster);

  struct View {
    std::optional<IpAddress> target;  // followed or tried now
    bool connected = false;
    std::string last_error;
  };
  [[nodiscard]] std::map<std::string, View> view() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cw::gateway
