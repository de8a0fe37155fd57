// Who may begin a handshake with us (paper sections 5.3, 5.4.4 and 5.4.7): who knows our public key
// (mac1), and while we are under load only who has shown with a cookie that the source address is
// his, at that source's rate. Time and randomness come in; thread-safe by itself, so that a device
// refuses a flood of strangers without holding up the data path, which needs the Core's mutex.
#pragma once

#include <mutex>
#include <optional>

#include "tunnel/engine/cookie.h"

namespace cw::tunnel::engine {

class Admission {
 public:
  enum class Verdict : std::uint8_t { kRefused, kAdmitted, kCookie };
  // `random` may be used by several threads at once if this object is.
  explicit Admission(Random& random) : random_(random) {}
  // Empty: nobody is admitted.
  void set_key(const std::optional<Key>& our_public);
  // Of a type 1 or 2 message behind which `queued` others wait. kCookie: not before `reply`, which
  // is to be sent to `source`, has been answered.
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
