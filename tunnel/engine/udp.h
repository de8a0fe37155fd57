// The engine's UDP sockets on one port. For IPv4 and for IPv6 there is one socket for data and one
// for initiations. So a flood of initiations, or of garbage, never fills the buffer of the data and
// of the answers to our own handshakes (udp_sort.h). Receives whole batches (recvmmsg, UDP_GRO),
// sends runs of equal datagrams as one (sendmmsg, UDP_SEGMENT), and keeps the sticky source address
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
  // The tag by which the kernel sorts (udp_sort.h). Without it all messages go to the data sockets.
  std::optional<IndexTag> sort;
};

// The result of one receive. `data` is one datagram, or several of `segment` bytes each, one after
// the other; the last may be shorter.
struct Received {
  std::span<std::uint8_t> data;
  std::size_t segment = 0;
  Path from;
  std::uint8_t ecn = 0;
};

// Memory for one batch of receives. It is reused, so receives allocate nothing. Pages that no
// datagram has touched are not resident.
class ReceiveBatch {
 public:
  static constexpr std::size_t kMessages = 32;
  static constexpr std::size_t kMessageSize = 65536;
  ReceiveBatch();
  // Receives up to `most` messages from a ready socket and returns their number. Truncated ones are
  // dropped.
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

// Datagrams of one size, one after the other, to one destination; the last may be shorter.
struct SendRun {
  std::span<const std::uint8_t> bytes;
  std::size_t segment = 0;  // equal to bytes.size(): a single datagram
  const Path* to = nullptr;
  std::uint8_t tos = 0;
};
enum class SendTrouble : std::uint8_t { kNone, kSource, kOther };

// The sockets of one port. Thread-safe. A change of the port replaces the whole object.
class UdpSockets {
 public:
  // The largest run: the kernel's limit of segments before Linux 6.9, and the size of a UDP
  // datagram.
  static constexpr std::size_t kMaxSegments = 64;
  static constexpr std::size_t kMaxRun = 65507;

  // Port 0: any free port, the same for both families. kExists (EADDRINUSE): the port is taken. On
  // a host without one of the families only the other one has sockets.
  [[nodiscard]] static Result<std::shared_ptr<UdpSockets>> open(std::uint16_t port,
                                                                std::uint32_t fwmark,
                                                                const UdpOptions& options);
  [[nodiscard]] Result<> set_fwmark(std::uint32_t fwmark);
  // Sends all runs. Runs that cannot be sent are dropped, as UDP does. kSource: at least one run
  // was sent from another source, because this host no longer has its sticky source.
  SendTrouble send(std::span<const SendRun> runs);

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] int v4() const { return v4_.get(); }  // -1: none
  [[nodiscard]] int v6() const { return v6_.get(); }
  // The sockets for messages that begin like an initiation. -1: none, they arrive with the data.
  [[nodiscard]] int initiations_v4() const { return initiations_v4_.get(); }
  [[nodiscard]] int initiations_v6() const { return initiations_v6_.get(); }
  // Whether runs of several datagrams may be sent as one.
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
