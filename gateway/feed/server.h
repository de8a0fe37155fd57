// The sending side of the feed: tells remote gateways about this cluster, over gRPC inside the
// tunnel. A stream gets a snapshot, then changes in the order of versions. Each key has only its
// newest version, so a slow stream costs one number and no queue. A caller is the gateway whose key
// it has proven (door.h). Its source address proves nothing.
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
  // Kept for resuming. A stream that missed older ones gets a snapshot.
  std::size_t max_withdrawn = 4096;
  double streams_per_second = 1;  // new ones of one caller, after a burst
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

  // Listens on that address only. kUnavailable: not possible yet, because the tunnel's interface
  // has no such address or the port is taken; call it again. Listening again on the same address
  // and port does nothing. Another one ends the streams. Port 0: any free port; see port().
  [[nodiscard]] Result<> listen(const IpAddress& address, std::uint16_t port);
  [[nodiscard]] std::uint16_t port() const;  // 0: it does not listen

  // Sets the gateways that may call, by public key. Streams of other callers end.
  void set_callers(std::map<tunnel::Key, GatewayId> callers);

  // Publishes to the streams. The same value again changes nothing. kTooLarge: over the limits of
  // statement.h; the value before stays.
  [[nodiscard]] Result<> publish(const Announcement& announcement);
  [[nodiscard]] Result<> publish(const api::ExportRecord& record);
  void withdraw(const api::ObjectKey& service);
  // What this gateway refuses of each cluster. A stream gets the report about its caller's cluster.
  void publish_refusals(const std::map<std::string, RefusalReport>& reports);
  // Until it is called no snapshot begins. A restarted gateway must not withdraw exports only
  // because it has not read them from its own store yet.
  void complete();

  [[nodiscard]] std::size_t streams() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cw::gateway
