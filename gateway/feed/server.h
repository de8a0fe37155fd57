// Our side of the feed: tells remote gateways about this cluster, over gRPC inside the tunnel. A
// stream gets a snapshot, then deltas in version order; each key has only its newest version, so a
// slow stream costs one number, not a queue. A caller is the gateway whose key it has proven
// (door.h); its source address says nothing.
//
// All methods are for the loop thread. Destroying the server ends its streams.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/loop.h"
#include "base/random.h"
#include "gateway/feed/door.h"
#include "gateway/feed/statement.h"
#include "tunnel/key.h"

namespace cw::gateway {

struct FeedServerConfig {
  Duration heartbeat = std::chrono::seconds(1);
  std::size_t max_withdrawn = 4096;  // remembered for resuming; older: a new snapshot
  double streams_per_second = 1;     // that one caller may begin, after a burst
  double stream_burst = 20;
  FeedDoorConfig door{};
};

class FeedServer {
 public:
  FeedServer(Loop& loop, Random& random, const tunnel::Key& private_key,
             FeedServerConfig config = {});
  ~FeedServer();
  FeedServer(const FeedServer&) = delete;
  FeedServer& operator=(const FeedServer&) = delete;

  // Listens on that address only. kUnavailable: it cannot (the tunnel's interface has no such
  // address yet, the port is taken): call again. Listening again on the same address does nothing,
  // on another one ends the streams. Port 0: any; see port().
  [[nodiscard]] Result<> listen(const IpAddress& address, std::uint16_t port);
  [[nodiscard]] bool listening() const;
  [[nodiscard]] std::uint16_t port() const;

  // Who may call, by public key. Streams of callers no longer in it end.
  void set_callers(std::map<tunnel::Key, GatewayId> callers);

  // Tells the streams. The same value again changes nothing. kTooLarge: over the limits of
  // statement.h; what was told before stays.
  [[nodiscard]] Result<> publish(const Announcement& announcement);
  [[nodiscard]] Result<> publish(const api::ExportRecord& record);
  void withdraw(const api::ObjectKey& service);
  // Until it is called no snapshot ends: a restarted gateway must not withdraw, by silence, what it
  // has not read from its own store yet.
  void complete();

  [[nodiscard]] std::size_t streams() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cw::gateway
