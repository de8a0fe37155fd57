// Decides which hosts may begin a handshake with this device (paper sections 5.3, 5.4.4 and 5.4.7).
// A message needs a valid mac1, which proves that its sender knows our public key. Under load it
// also needs a cookie, which proves the sender's source address, and that address has a rate limit.
// Time and randomness are arguments. Thread-safe by itself: a flood of strangers is refused without
// the Protocol's mutex, which the data path needs.
#pragma once

#include <mutex>
#include <optional>

#include "tunnel/engine/cookie.h"

namespace cw::tunnel::engine {

class Admission {
 public:
  enum class Verdict : std::uint8_t { kRefused, kAdmitted, kCookie };
  // If several threads use this object, `random` must be thread-safe too.
  explicit Admission(Random& random) : random_(random) {}
  // Without a key every message is refused.
  void set_key(const std::optional<Key>& our_public);
  // Judges a message of type 1 or 2; `queued` is the number of handshakes that wait behind it.
  // kCookie: send `reply` to `source`, and drop the message.
  [[nodiscard]] Verdict judge(Bytes message, const Endpoint& source, TimePoint now,
                              std::size_t queued, CookieReply& reply);

 private:
  std::mutex mutex_;
  Random& random_;
  std::optional<MacChecker> checker_;
  RateLimiter limiter_;
  std::optional<TimePoint> loaded_at_;
};

}  // namespace cw::tunnel::engine
