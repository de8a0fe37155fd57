// One stream from one remote gateway, over a connected socket. The network thread parses and
// assembles; what it has is handed to the loop thread in batches, newest wins, so a busy loop costs
// one batch, bounded by the limits of statement.h. Loop thread only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/loop.h"
#include "base/unique_fd.h"
#include "gateway/feed/messages.h"
#include "gateway/feed/statement.h"

namespace cw::gateway {

// What was heard since the batch before, to be applied in this order.
struct FeedBatch {
  std::optional<Announcement> announcement;
  std::optional<ExportMap> snapshot;                                   // replaces everything
  std::map<api::ObjectKey, std::optional<api::ExportRecord>> changes;  // empty: withdrawn
  std::vector<Error> refused;  // messages that were dropped; at most 16, the first ones
  std::string resume_token;    // newest; empty: none since the batch before
  bool live = false;           // past the snapshot, or resumed
  std::optional<Error> ended;  // the stream is over
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
  // `cluster` is who is at the other end. on_batch may destroy the stream.
  FeedStream(Loop& loop, FeedNetwork& network, UniqueFd connected, const std::string& cluster,
             const WatchQuery& query, OnBatch on_batch);
  ~FeedStream();  // cancels; no callback afterwards
  FeedStream(const FeedStream&) = delete;
  FeedStream& operator=(const FeedStream&) = delete;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cw::gateway
