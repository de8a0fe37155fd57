// The engine's UDP sockets on one port: for IPv4 and IPv6 one each for data and one each for
// initiations, so that a flood of those, or of garbage, never fills the buffer that data and the
// answers to our own handshakes wait in (udp_sort.h). Receives whole batches (recvmmsg, UDP_GRO),
// sends runs of equal datagrams as one (sendmmsg, UDP_SEGMENT), keeps the sticky source address
// (IP_PKTINFO) and the ECN bits. udp(7), Linux Documentation/networking.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/error.h"
#include "base/unique_fd.h"
#include "tunnel/engine/index_tag.h"
#include "tunnel/engine/peer.h"

namespace cw::tunnel::engine {

struct UdpOptions {
  bool gso = true;
  bool gro = true;
  // Sorts by it (udp_sort.h); without it all comes to the data's sockets.
  std::optional<IndexTag> sort;
};

// What one receive gave: `data` is one datagram, or several of `segment` bytes each (the last may
// be shorter) one after the other.
struct Received {
  std::span<std::uint8_t> data;
  std::size_t segment = 0;
  Path from;
  std::uint8_t ecn = 0;
};

// Memory for one batch of receives; reused, no allocation once made. Pages that no datagram has
// touched are not resident.
class ReceiveBatch {
 public:
  static constexpr std::size_t kMessages = 32;
  static constexpr std::size_t kMessageSize = 65536;
  ReceiveBatch();
  // Up to `most` messages of a ready socket; what is truncated is dropped. Returns how many.
  std::size_t receive(int fd, std::size_t most);
  [[nodiscard]] std::span<Received> received() { return {received_.data(), count_}; }
  void clear() { count_ = used_ = 0; }

 private:
  struct Unmap {
    void operator()(std::uint8_t* memory) const;
  };
  bool take(std::size_t index, const mmsghdr& header, Received& out);

  std::unique_ptr<std::uint8_t, Unmap> memory_;
  std::array<mmsghdr, kMessages> headers_{};
  std::array<iovec, kMessages> parts_{};
  std::array<sockaddr_storage, kMessages> names_{};
  alignas(cmsghdr) std::array<std::array<char, 128>, kMessages> controls_{};
  std::array<Received, kMessages> received_{};
  std::size_t count_ = 0;  // of received_
  std::size_t used_ = 0;   // of the buffers
};

// Datagrams of one size (the last may be shorter) one after the other, to one place.
struct SendRun {
  std::span<const std::uint8_t> bytes;
  std::size_t segment = 0;  // bytes.size(): a single one
  const Path* to = nullptr;
  std::uint8_t tos = 0;
};
enum class SendTrouble : std::uint8_t { kNone, kSource, kOther };

// The sockets of one port. Thread-safe; replaced as a whole when the port changes.
class UdpSockets {
 public:
  // The largest run: the kernel's limit before 6.9, and a datagram's size.
  static constexpr std::size_t kMaxSegments = 64;
  static constexpr std::size_t kMaxRun = 65507;

  // Port 0: any free one, the same for both families. kUnavailable (EADDRINUSE): it is taken. A
  // host without one of the families gets the other only.
  [[nodiscard]] static Result<std::shared_ptr<UdpSockets>> open(std::uint16_t port,
                                                                std::uint32_t fwmark,
                                                                const UdpOptions& options);
  [[nodiscard]] Result<> set_fwmark(std::uint32_t fwmark);
  // Sends all; what cannot be sent is dropped, as UDP does. kSource: the sticky source of at least
  // one run is not ours any more (it was sent from another).
  SendTrouble send(std::span<const SendRun> runs);

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] int v4() const { return v4_.get(); }  // -1: none
  [[nodiscard]] int v6() const { return v6_.get(); }
  // What begins like an initiation. -1: none, they come with the data.
  [[nodiscard]] int initiations_v4() const { return initiations_v4_.get(); }
  [[nodiscard]] int initiations_v6() const { return initiations_v6_.get(); }
  // May runs of several datagrams be sent as one?
  [[nodiscard]] bool gso() const { return gso_.load(std::memory_order_relaxed); }
  [[nodiscard]] bool gro() const { return gro_; }

 private:
  UdpSockets() = default;
  SendTrouble send_slowly(const SendRun& run);
  SendTrouble send_one(const SendRun& run, std::span<const std::uint8_t> datagram);

  UniqueFd v4_;
  UniqueFd v6_;
  UniqueFd initiations_v4_;
  UniqueFd initiations_v6_;
  std::uint16_t port_ = 0;
  std::atomic<bool> gso_ = true;
  bool gro_ = false;
};

}  // namespace cw::tunnel::engine
