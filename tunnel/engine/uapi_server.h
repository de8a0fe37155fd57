// The cross-platform configuration socket of a Device (wireguard.com/xplatform), where Debian's
// `wg` looks for it: DIR/INTERFACE.sock, for root only. It has one thread. The number of clients is
// bounded, and each client is bounded in time and size. So no client can delay the others or use up
// the descriptors.
#pragma once

#include <memory>
#include <string>

#include "tunnel/engine/device.h"

namespace cw::tunnel::engine {

class UapiServer {
 public:
  static constexpr std::size_t kMaxClients = 16;  // more wait in the listen queue

  // Makes the folder (0700) and the socket (0600). Replaces a socket on which no process listens.
  // kExists: a process listens there. The device must outlive this object.
  [[nodiscard]] static Result<std::unique_ptr<UapiServer>> listen(const std::string& folder,
                                                                  Device& device);
  ~UapiServer();  // removes the socket
  UapiServer(const UapiServer&) = delete;
  UapiServer& operator=(const UapiServer&) = delete;

 private:
  struct State;
  explicit UapiServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// The answer to one request (without its final empty line). Tests and fuzzing call it, too.
[[nodiscard]] std::string uapi_answer(Device& device, std::string_view request);

}  // namespace cw::tunnel::engine
