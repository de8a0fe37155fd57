// Limits the UDP answers per second and client. The sender of a query may be forged, and then our
// answers would flood a victim. Over the limit each `slip`-th answer is empty with the TC bit. So a
// real client behind that address asks again over TCP, which is never limited. Other answers are
// dropped. An empty answer is no longer than its query. By default no answer is dropped, because a
// forwarder whose query is dropped sends SERVFAIL to its client.
//
// There is one token bucket per client prefix, stored as the time at which it is full again (GCRA:
// one exact number). The table has a fixed size. When a set is full, its fullest bucket is
// forgotten. So forged addresses can at most give a client a fresh bucket. No I/O, no clock. Any
// thread, without locks.
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
  // A cluster's DNS server may ask for all pods from one address. Only a flood reaches this rate.
  std::uint32_t per_second = 20000;  // answers per client prefix; 0: no limit
  std::uint32_t burst = 0;           // answers at once; 0: those of one second
  std::uint32_t slip = 1;  // each n-th answer over the limit is empty with TC; 0: all are dropped
  std::uint32_t v4_length = 32;  // clients that agree in this many leading bits share a bucket
  std::uint32_t v6_length = 64;
  std::vector<Prefix> exempt;  // never limited
};

// kRefuse comes from the server only: the client is not allowed.
enum class Verdict : std::uint8_t { kAnswer, kTruncate, kRefuse, kDrop };

class ResponseRate {
 public:
  using Time = std::chrono::nanoseconds;  // since any fixed time

  // `seed` must be secret, or an attacker could choose addresses that share a set.
  ResponseRate(ResponseRateConfig config, std::uint64_t seed);

  [[nodiscard]] bool limits() const { return config_.per_second != 0; }
  // Counts one more answer to `client`, and decides what happens to it.
  [[nodiscard]] Verdict evaluate(const IpAddress& client, Time now);

  static constexpr std::size_t kBuckets = std::size_t{1} << 16U;

 private:
  // 16 bits: a tag of the client. 48 bits: the time in nanoseconds at which it is full, modulo 78
  // hours.
  using Bucket = std::atomic<std::uint64_t>;
  static constexpr std::size_t kWays = 4;
  struct Set {
    std::array<Bucket, kWays> ways{};
  };
  [[nodiscard]] std::uint64_t hash_of(const IpAddress& client) const;
  // The nanoseconds until `bucket` is full, at `now`.
  [[nodiscard]] std::uint64_t debt(std::uint64_t bucket, std::uint64_t now) const;
  [[nodiscard]] bool within(Set& set, std::uint64_t tag, std::uint64_t now);

  ResponseRateConfig config_;
  std::uint64_t seed_;
  std::uint64_t cost_ = 0;    // nanoseconds until one answer's token is restored
  std::uint64_t window_ = 0;  // the debt of an empty bucket
  std::atomic<std::uint32_t> over_{0};
  std::unique_ptr<std::array<Set, kBuckets / kWays>> sets_;
};

}  // namespace cw::discovery::dns
