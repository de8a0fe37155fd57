// One stream from one remote gateway, over a connected socket. The network thread parses and
// assembles. What it has is handed to the loop thread in batches, newest wins: at most one each 10
// ms, of at most 256 changes. What waits is bounded by the limits of statement.h. Loop thread only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/loop.h"
#include "base/token_bucket.h"
#include "base/unique_fd.h"
#include "gateway/feed/handshake.h"
#include "gateway/feed/messages.h"
#include "gateway/feed/statement.h"

namespace cw::gateway {

// What was heard since the batch before, to be applied in this order. Exports are in the form of
// encode_record().
struct FeedBatch {
  std::optional<Announcement> announcement;
  std::optional<ExportMap> snapshot;                             // replaces everything
  std::map<api::ObjectKey, std::optional<std::string>> changes;  // empty: withdrawn
  std::vector<FeedFault> refused;  // messages that were dropped; at most 100, the first ones
  std::string resume_token;        // newest; empty: none since the batch before
  bool live = false;               // past the snapshot, or resumed
  std::optional<Error> ended;      // the stream is over
  Duration pause{};                // no stream of the cluster before this long, if it ended
};

// How fast one cluster's messages are read, whatever stream they come by. A first snapshot of all
// that a cluster may export goes through at once. What is not read waits at the sender, which tells
// the newest version later. Network thread only.
class ReadBudget {
 public:
  // `at_once` snapshots, then one each `every`.
  explicit ReadBudget(double at_once = 10, Duration every = std::chrono::seconds(10))
      : snapshots_(1 / std::chrono::duration<double>(every).count(), at_once) {}
  // How long to wait before the next message.
  [[nodiscard]] Duration after(std::size_t bytes, TimePoint now);
  // A snapshot begins: zero, or how long it is until the cluster may begin another one. Honest
  // clusters need some at once: their gateways restart.
  [[nodiscard]] Duration snapshot(TimePoint now);

 private:
  TokenBucket messages_{5'000, 40'000};
  TokenBucket bytes_{4U << 20U, 80U << 20U};
  TokenBucket snapshots_;
};

// The one thread that serves all streams of a client. Not gRPC's callback API: that shares threads
// which the last channel joins when it goes, and a channel may go on one of them.
class FeedNetwork {
 public:
  FeedNetwork();
  ~FeedNetwork();  // after its FeedStreams; waits until gRPC is done with them (they are cancelled)
  FeedNetwork(const FeedNetwork&) = delete;
  FeedNetwork& operator=(const FeedNetwork&) = delete;

 private:
  friend class FeedStream;
  struct State;
  std::unique_ptr<State> state_;
};

class FeedStream {
 public:
  using OnBatch = std::function<void(FeedBatch)>;
  struct Wire {
    UniqueFd connected;
    FeedSession session;  // of the handshake on it
    std::shared_ptr<ReadBudget> budget;
  };
  // `cluster` is who is at the other end. on_batch may destroy the stream.
  FeedStream(Loop& loop, FeedNetwork& network, Wire wire, const std::string& cluster,
             const WatchQuery& query, OnBatch on_batch);
  ~FeedStream();  // cancels; no callback afterwards
  FeedStream(const FeedStream&) = delete;
  FeedStream& operator=(const FeedStream&) = delete;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cw::gateway
