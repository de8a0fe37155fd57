// The socket of a Prober: receives datagrams in batches, sends the replies to a batch together, and
// pauses for a moment while many requests come (batch.h). It does not know what a probe is. Loop
// thread only.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/loop.h"
#include "base/prefix.h"
#include "base/unique_fd.h"
#include "tunnel/probe/batch.h"

namespace cw::tunnel {

class ProbeSocket {
 public:
  struct Datagram {
    std::span<const std::byte> bytes;
    Endpoint source;
    const sockaddr_storage& from;  // `source`, with its scope
    socklen_t from_size = 0;
  };
  // None may destroy the socket.
  struct Hooks {
    std::function<void()> on_wake;  // datagrams are about to be read
    // Returns whether the datagram was a request that got an answer.
    std::function<bool(const Datagram&)> on_datagram;
  };

  ProbeSocket(Loop& loop, Hooks hooks) : loop_(loop), hooks_(std::move(hooks)) {}
  ProbeSocket(const ProbeSocket&) = delete;
  ProbeSocket& operator=(const ProbeSocket&) = delete;

  // Errors as open_udp_socket(). Datagrams are received from then on.
  [[nodiscard]] Result<> open(const Endpoint& local, const std::string& device);
  // Sends at once. A failed send is a lost probe: the detector draws the conclusion.
  void send(std::span<const std::byte> bytes, const Endpoint& to) const;
  // From on_datagram only: sends `bytes` to the datagram's sender, with the batch's other replies.
  void reply(std::vector<std::byte> bytes, const Datagram& to);
  // Reads the datagrams that wait.
  void receive();

 private:
  void watch();

  Loop& loop_;
  Hooks hooks_;
  UniqueFd fd_;
  std::uint32_t device_ = 0;  // the scope of link-local addresses
  std::unique_ptr<DatagramBatch> batch_ = std::make_unique<DatagramBatch>();
  Gathering gathering_;
  Handle readable_;
  Handle gather_timer_;
};

}  // namespace cw::tunnel
