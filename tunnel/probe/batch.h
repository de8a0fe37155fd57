// Makes probes of a thousand nodes cheap to answer. Datagrams are received and sent in batches.
// While many requests come, the reader pauses for a moment, so that more of them arrive together.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <span>
#include <vector>

#include "base/loop.h"
#include "tunnel/probe/packet.h"

namespace cw::tunnel {

// Decides whether to pause before the next read. Pure: time is an argument.
class Gathering {
 public:
  // The pause. It adds at most this to a node's round trip, only while there are many requests.
  static constexpr Duration kPause = std::chrono::milliseconds(2);
  static constexpr Duration kWindow = std::chrono::milliseconds(100);
  static constexpr unsigned kMany = 100;  // requests per window: 1,000 per second

  // Records that `requests` were answered now. Returns whether to pause.
  [[nodiscard]] bool handled(unsigned requests, TimePoint now) {
    if (now - window_began_ >= kWindow) {
      many_ = in_window_ >= kMany && now - window_began_ < 2 * kWindow;
      window_began_ = now;
      in_window_ = 0;
    }
    in_window_ += requests;
    return many_ && requests > 0;
  }

 private:
  TimePoint window_began_{};
  unsigned in_window_ = 0;
  bool many_ = false;
};

// Received datagrams and the replies to them, at most kMost of each.
class DatagramBatch {
 public:
  static constexpr unsigned kMost = 16;

  // Receives waiting datagrams and returns their number. 0 if none waits or the socket has an
  // error.
  [[nodiscard]] unsigned receive(int fd);
  [[nodiscard]] std::span<const std::byte> datagram(unsigned n) const {
    return {buffers_[n].data(), in_[n].msg_len};
  }
  [[nodiscard]] const sockaddr_storage& from(unsigned n) const { return from_[n]; }
  [[nodiscard]] socklen_t from_size(unsigned n) const { return in_[n].msg_hdr.msg_namelen; }

  // Keeps one reply for send_replies(). At most kMost are kept.
  void reply(std::vector<std::byte> bytes, const sockaddr_storage& to, socklen_t size);
  // Sends the kept replies. A reply that cannot be sent is lost; probes are made to notice loss.
  void send_replies(int fd);

 private:
  struct Reply {
    std::vector<std::byte> bytes;
    sockaddr_storage to{};
    socklen_t size = 0;
  };
  std::array<std::array<std::byte, kMaxProbe + 1>, kMost> buffers_{};
  std::array<sockaddr_storage, kMost> from_{};
  std::array<iovec, kMost> pieces_{};
  std::array<mmsghdr, kMost> in_{};
  std::vector<Reply> replies_;
};

}  // namespace cw::tunnel
