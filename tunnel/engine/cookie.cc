#include "tunnel/engine/cookie.h"

#include <algorithm>
#include <string_view>

namespace cw::tunnel::engine {

namespace {

Bytes bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

Bytes32 label_key(std::string_view label, const Key& key) {
  return blake2s({bytes_of(label), key.bytes()});
}

std::size_t mac1_offset(Bytes message) { return message.size() - kMacsSize; }

Bytes16 slice16(Bytes message, std::size_t offset) {
  Bytes16 out{};
  std::copy_n(message.begin() + static_cast<std::ptrdiff_t>(offset), 16, out.begin());
  return out;
}

}  // namespace

Macs::Macs(const Key& peer)
    : mac1_key_(label_key("mac1----", peer)), cookie_key_(label_key("cookie--", peer)) {}

void Macs::sign(std::span<std::uint8_t> message, TimePoint now) {
  const auto at = mac1_offset(message);
  const auto mac1 = blake2s_mac(mac1_key_, {message.first(at)});
  std::copy(mac1.begin(), mac1.end(), message.begin() + static_cast<std::ptrdiff_t>(at));
  last_mac1_ = mac1;
  if (cookie_ && now - cookie_at_ < kCookieUse) {
    const auto mac2 = blake2s_mac(*cookie_, {message.first(at + 16)});
    std::copy(mac2.begin(), mac2.end(), message.begin() + static_cast<std::ptrdiff_t>(at + 16));
  }
}

bool Macs::take_reply(Bytes reply, TimePoint now) {
  if (!last_mac1_ || message_type(reply) != MessageType::kCookie) return false;
  std::array<std::uint8_t, 24> nonce{};
  std::copy_n(reply.begin() + 8, nonce.size(), nonce.begin());
  Bytes16 cookie{};
  if (!xopen(cookie_key_, nonce, reply.subspan(32), *last_mac1_, cookie)) return false;
  cookie_ = cookie;
  cookie_at_ = now;
  last_mac1_.reset();
  return true;
}

MacChecker::MacChecker(const Key& our_public)
    : mac1_key_(label_key("mac1----", our_public)),
      cookie_key_(label_key("cookie--", our_public)) {}

MacVerdict MacChecker::check(Bytes message, const Endpoint& source, TimePoint now, Random& random) {
  const auto at = mac1_offset(message);
  const auto mac1 = blake2s_mac(mac1_key_, {message.first(at)});
  if (!equal_constant_time(mac1, message.subspan(at, 16))) return MacVerdict::kInvalid;
  const auto mac2 = message.subspan(at + 16, 16);
  if (equal_constant_time(mac2, Bytes16{})) return MacVerdict::kValid;
  const auto want = blake2s_mac(cookie_of(source, now, random), {message.first(at + 16)});
  return equal_constant_time(want, mac2) ? MacVerdict::kValidWithCookie : MacVerdict::kValid;
}

CookieReply MacChecker::reply(Bytes message, const Endpoint& source, TimePoint now,
                              Random& random) {
  CookieReply out{};
  out[0] = static_cast<std::uint8_t>(MessageType::kCookie);
  store_le(out, 4, load_le<std::uint32_t>(message, 4));  // its sender index
  std::array<std::uint8_t, 24> nonce{};
  random.fill(std::as_writable_bytes(std::span(nonce)));
  std::copy(nonce.begin(), nonce.end(), out.begin() + 8);
  const auto cookie = cookie_of(source, now, random);
  xseal(cookie_key_, nonce, cookie, slice16(message, mac1_offset(message)),
        std::span(out).subspan(32));
  return out;
}

Bytes16 MacChecker::cookie_of(const Endpoint& source, TimePoint now, Random& random) {
  if (!secret_at_ || now - *secret_at_ >= kCookieSecretAge) {
    random.fill(std::as_writable_bytes(std::span(secret_)));
    secret_at_ = now;
  }
  const std::array<std::uint8_t, 2> port = {static_cast<std::uint8_t>(source.port >> 8U),
                                            static_cast<std::uint8_t>(source.port)};
  return blake2s_mac(secret_, {source.address.bytes(), port});
}

namespace {

// Tokens are nanoseconds: 20 handshakes per second.
constexpr std::int64_t kPacketCost = 1'000'000'000 / 20;
constexpr std::int64_t kBurst = kPacketCost * 5;

std::uint64_t source_key(const IpAddress& source) {
  std::uint64_t key = source.is_v4() ? 0 : 1;
  const auto bytes = source.bytes().first(source.is_v4() ? 4 : 8);  // an IPv6 source owns its /64
  for (const auto byte : bytes) key = (key << 8U | key >> 56U) ^ byte;
  return source.is_v4() ? key | (std::uint64_t{0xffff} << 48U) : key;
}

}  // namespace

bool RateLimiter::allow(const IpAddress& source, TimePoint now) {
  if (now - swept_ >= std::chrono::seconds(1)) {
    std::erase_if(buckets_, [&](const auto& entry) {
      return now - entry.second.last > std::chrono::seconds(1);
    });
    swept_ = now;
  }
  const auto key = source_key(source);
  const auto found = buckets_.find(key);
  if (found == buckets_.end()) {
    if (buckets_.size() >= kMaxSources) return false;
    buckets_.emplace(key, Bucket{kBurst - kPacketCost, now});
    return true;
  }
  auto& bucket = found->second;
  bucket.tokens_ns = std::min(kBurst, bucket.tokens_ns + (now - bucket.last).count());
  bucket.last = now;
  if (bucket.tokens_ns < kPacketCost) return false;
  bucket.tokens_ns -= kPacketCost;
  return true;
}

}  // namespace cw::tunnel::engine
