// The feed's listening socket, on a thread of its own. It accepts connections, has each caller
// prove its key (handshake.h), and hands the socket over.
//   * A stranger takes one slot for some seconds. There are 8 slots, or one for each known gateway
//     if that is more. A newer connection from the same address takes the older one's slot. When
//     all slots are taken, the oldest connection makes room.
//   * A gateway that has proven its key has at most two connections. A third one ends the oldest.
//   * Out of descriptors, the door pauses.
//
// The methods are for one thread. `admit` is called on the door's thread.
#pragma once

#include <functional>
#include <map>
#include <memory>

#include "base/loop.h"
#include "base/unique_fd.h"
#include "gateway/feed/handshake.h"
#include "gateway/feed/statement.h"

namespace cw::gateway {

// A connection whose caller has proven its key. The door keeps one reference as long as the
// connection lives.
struct FeedCaller {
  GatewayId id;
  FeedSession session;
};

struct FeedDoorConfig {
  std::chrono::milliseconds patience{3000};  // for a handshake
  std::size_t strangers = 8;                 // handshakes at a time, at least
  std::size_t connections = 2;               // of one gateway
  FeedVersion version = kFeedVersion;
};

class FeedDoor {
 public:
  using Admit = std::function<void(UniqueFd, std::shared_ptr<const FeedCaller>)>;

  // kUnavailable: cannot listen on `local`. Port 0: any free port; see port().
  [[nodiscard]] static Result<std::unique_ptr<FeedDoor>> open(const Endpoint& local,
                                                              const tunnel::Key& private_key,
                                                              Admit admit,
                                                              const FeedDoorConfig& config);
  ~FeedDoor();  // no call of `admit` afterwards; connections that were handed over end
  FeedDoor(const FeedDoor&) = delete;
  FeedDoor& operator=(const FeedDoor&) = delete;

  // Sets the gateways that may connect, by public key. Connections of others end.
  void set_callers(std::map<tunnel::Key, GatewayId> callers);
  [[nodiscard]] std::uint16_t port() const;

 private:
  struct State;
  explicit FeedDoor(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace cw::gateway
