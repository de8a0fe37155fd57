// What makes the answers of a thousand nodes' probes cheap: datagrams are received and sent many at
// a time, and while many come the reader pauses for a moment, so that they come together.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <span>
#include <vector>

#include "base/loop.h"
#include "tunnel/probe/packet.h"

namespace cw::tunnel {

// Whether to pause before the next read. Pure: time is an argument.
class Gathering {
 public:
  // Added to a node's round trip while there are many, at most.
  static constexpr Duration kPause = std::chrono::milliseconds(2);
  static constexpr Duration kWindow = std::chrono::milliseconds(100);
  static constexpr unsigned kMany = 100;  // requests in a window: 1,000 a second

  // `requests` were answered now.
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

// Received datagrams and the answers to them. At most kMost of each.
class DatagramBatch {
 public:
  static constexpr unsigned kMost = 16;

  // How many came; 0 if none did or the socket has an error.
  [[nodiscard]] unsigned receive(int fd);
  [[nodiscard]] std::span<const std::byte> datagram(unsigned n) const {
    return {buffers_[n].data(), in_[n].msg_len};
  }
  [[nodiscard]] const sockaddr_storage& from(unsigned n) const { return from_[n]; }
  [[nodiscard]] socklen_t from_size(unsigned n) const { return in_[n].msg_hdr.msg_namelen; }

  // Keeps an answer to what was received last; not more than were.
  void reply(std::vector<std::byte> bytes, const sockaddr_storage& to, socklen_t size);
  // Lost ones are what probing is for.
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
