// Limits how many answers a second one client gets over UDP, where the sender of a query may be
// forged and our answers would flood whom it names. Over the limit every `slip`th answer goes out
// empty with the TC bit, so that a real client behind that address comes back over TCP, which is
// never limited; the others are dropped. An empty answer is no longer than its query. So by default
// none is dropped: a forwarder whose query is dropped tells its client SERVFAIL. A token bucket a
// client prefix, kept as the time at which the bucket would be full again (GCRA: one number,
// exact). A table of fixed size: when a set of it is full, the fullest bucket is forgotten, so
// forged addresses give a client at most a fresh bucket. No I/O, no clock of its own; any thread,
// without locks.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/prefix.h"

namespace cw::discovery::dns {

struct ResponseRateConfig {
  // A cluster's DNS server may ask for all of its pods from one address: only floods reach this.
  std::uint32_t per_second = 20000;  // answers a client prefix; 0: no limit
  std::uint32_t burst = 0;           // at once; 0: what a second allows
  std::uint32_t slip = 1;            // every n-th answer over the limit is truncated; 0: none is
  std::uint32_t v4_length = 32;      // clients that share so much of their address are one
  std::uint32_t v6_length = 64;
  std::vector<Prefix> exempt;  // never limited
};

enum class Verdict : std::uint8_t { kAnswer, kTruncate, kDrop };

class ResponseRate {
 public:
  using Time = std::chrono::nanoseconds;  // since anything that never goes back

  // `seed` is secret: who knows it can pick addresses that share a set.
  ResponseRate(ResponseRateConfig config, std::uint64_t seed);

  [[nodiscard]] bool limits() const { return config_.per_second != 0; }
  // What becomes of one more answer to `client`.
  [[nodiscard]] Verdict take(const IpAddress& client, Time now);

  static constexpr std::size_t kBuckets = std::size_t{1} << 16U;

 private:
  // 16 bits tag (which client), 48 bits nanoseconds (when full again, modulo 78 hours).
  using Bucket = std::atomic<std::uint64_t>;
  static constexpr std::size_t kWays = 4;
  struct Set {
    std::array<Bucket, kWays> ways{};
  };
  [[nodiscard]] std::uint64_t hash_of(const IpAddress& client) const;
  // How far `bucket` is from full at `now`, in nanoseconds.
  [[nodiscard]] std::uint64_t debt(std::uint64_t bucket, std::uint64_t now) const;
  [[nodiscard]] bool within(Set& set, std::uint64_t tag, std::uint64_t now);

  ResponseRateConfig config_;
  std::uint64_t seed_;
  std::uint64_t cost_ = 0;    // nanoseconds an answer takes to be earned back
  std::uint64_t window_ = 0;  // debt at which a bucket is empty
  std::atomic<std::uint32_t> over_{0};
  std::unique_ptr<std::array<Set, kBuckets / kWays>> sets_;
};

}  // namespace cw::discovery::dns
