// One stream from one remote gateway, over a connected socket. The network thread parses and
// assembles. The loop thread gets the newest versions in batches: at most one every 10 ms, of at
// most 256 changes. The limits of statement.h bound what waits. Loop thread only.
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

// What came since the batch before, to be applied in this order. It is not yet judged
// (admission.h).
struct FeedBatch {
  std::optional<AnnouncedChange> announcement;                     // to be merged (announced.h)
  std::optional<ExportMap> snapshot;                               // replaces all exports
  std::map<api::ObjectKey, std::optional<EncodedExport>> changes;  // empty: withdrawn
  std::optional<RefusalReport> report;  // of what the cluster refuses of us; the newest
  std::vector<FeedFault> refused;       // dropped messages, the first 100 and one announcement
  std::string resume_token;             // the newest; empty: none since the batch before
  bool live = false;                    // past the snapshot, or resumed
  std::optional<Error> ended;           // the stream has ended
  Duration pause{};                     // if it ended: no stream of the cluster for this long
};

// How fast one cluster's messages are read, whatever stream they come by. A first snapshot of all
// that a cluster may export is read at once. Messages that are not read wait at the sender, which
// sends the newest version later. Network thread only.
class ReadBudget {
 public:
  // `at_once` snapshots, then one per `every`.
  explicit ReadBudget(double at_once = 10, Duration every = std::chrono::seconds(10))
      : snapshots_(1 / std::chrono::duration<double>(every).count(), at_once) {}
  // The time to wait before the next message.
  [[nodiscard]] Duration after(std::size_t bytes, TimePoint now);
  // Call when a snapshot begins. Zero: it may. Otherwise the time until the cluster may begin
  // another one. Honest clusters need some at once, because their gateways restart.
  [[nodiscard]] Duration snapshot(TimePoint now);

 private:
  // Per second, and at once (docs/protocol/feed.md, "Budgets").
  TokenBucket messages_{5'000, 40'000};
  TokenBucket bytes_{4U << 20U, 80U << 20U};
  TokenBucket snapshots_;
};

// The one thread that serves all streams of a client. gRPC's callback API does not fit: it shares
// threads that the last channel joins when it goes, and a channel may go on one of them.
class FeedNetwork {
 public:
  FeedNetwork();
  ~FeedNetwork();  // destroy its FeedStreams first; waits until gRPC has ended their calls
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
    FeedSession session;  // of the handshake on `connected`
    std::shared_ptr<ReadBudget> budget;
  };
  // `cluster` is the remote gateway's. on_batch may destroy the stream.
  FeedStream(Loop& loop, FeedNetwork& network, Wire wire, const std::string& cluster,
             const WatchQuery& query, OnBatch on_batch);
  ~FeedStream();  // cancels; no callback comes afterwards
  FeedStream(const FeedStream&) = delete;
  FeedStream& operator=(const FeedStream&) = delete;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cw::gateway
