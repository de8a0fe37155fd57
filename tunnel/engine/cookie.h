// mac1, mac2 and cookies (paper sections 5.4.4 and 5.4.7): they make a flood of initiations cheap
// to refuse. Macs signs messages to a peer, MacChecker judges messages of strangers, and
// RateLimiter bounds the handshakes of one source. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>

#include "base/loop.h"
#include "base/random.h"
#include "tunnel/engine/crypto.h"
#include "tunnel/engine/messages.h"
#include "tunnel/key.h"

namespace cw::tunnel::engine {

inline constexpr auto kCookieSecretAge = std::chrono::seconds(120);
// A sender stops using a cookie 5 s before its secret may rotate.
inline constexpr auto kCookieUse = std::chrono::seconds(115);

// Outgoing side, one per peer.
class Macs {
 public:
  explicit Macs(const Key& peer);
  // Fills mac1 of a message of type 1 or 2, and mac2 if there is a fresh cookie.
  void sign(std::span<std::uint8_t> message, TimePoint now);
  // Takes the cookie if the reply belongs to the last mac1 that was sent. Each mac1 gets one
  // cookie.
  [[nodiscard]] bool take_reply(Bytes reply, TimePoint now);

 private:
  Bytes32 mac1_key_{};
  Bytes32 cookie_key_{};
  std::optional<Bytes16> last_mac1_;
  std::optional<Bytes16> cookie_;
  TimePoint cookie_at_{};
};

enum class MacVerdict : std::uint8_t { kInvalid, kValid, kValidWithCookie };

// Incoming side, one per device.
class MacChecker {
 public:
  explicit MacChecker(const Key& our_public);
  // Judges a message of type 1 or 2 from `source`. mac2 is checked only if mac1 is valid.
  [[nodiscard]] MacVerdict check(Bytes message, const Endpoint& source, TimePoint now,
                                 Random& random);
  // The answer under load to a message with a valid mac1.
  [[nodiscard]] CookieReply reply(Bytes message, const Endpoint& source, TimePoint now,
                                  Random& random);

 private:
  Bytes16 cookie_of(const Endpoint& source, TimePoint now, Random& random);
  Bytes32 mac1_key_{};
  Bytes32 cookie_key_{};
  Bytes32 secret_{};
  std::optional<TimePoint> secret_at_;
};

// Token buckets: 20 handshakes per second with a burst of 5, for each IPv4 address or IPv6 /64, as
// in Linux's WireGuard. A full table refuses new sources until entries that were idle for 1 s are
// removed.
class RateLimiter {
 public:
  static constexpr std::size_t kMaxSources = 8192;
  [[nodiscard]] bool allow(const IpAddress& source, TimePoint now);
  [[nodiscard]] std::size_t size() const { return buckets_.size(); }

 private:
  struct Bucket {
    std::int64_t tokens_ns = 0;
    TimePoint last{};
  };
  std::unordered_map<std::uint64_t, Bucket> buckets_;
  TimePoint swept_{};
};

}  // namespace cw::tunnel::engine
