// Counters of the DNS server's threads. Each thread writes only its own Counters. So an addition is
// a load and a store, without a locked instruction or a shared cache line. The reader sums them at
// a scrape. Counts never decrease, except `open`, which is a gauge.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <string_view>

namespace cw::discovery::dns {

// One writer, any number of readers.
class Count {
 public:
  void add(std::uint64_t n = 1) { value_.store(get() + n, std::memory_order_relaxed); }
  void set(std::uint64_t n) { value_.store(n, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

// The query types with a count of their own. The last entry stands for all others.
inline constexpr std::array<std::pair<std::uint16_t, std::string_view>, 14> kCountedTypes = {
    {{1, "A"},
     {28, "AAAA"},
     {33, "SRV"},
     {16, "TXT"},
     {12, "PTR"},
     {6, "SOA"},
     {2, "NS"},
     {5, "CNAME"},
     {15, "MX"},
     {65, "HTTPS"},
     {255, "ANY"},
     {252, "AXFR"},
     {251, "IXFR"},
     {0, "other"}}};
[[nodiscard]] inline std::size_t counted_type(std::uint16_t type) {
  std::size_t i = 0;
  while (i + 1 < kCountedTypes.size() && kCountedTypes[i].first != type) ++i;
  return i;
}

inline constexpr std::size_t kRcodes = 17;  // 0 to 15, and BADVERS

// Upper bounds of the latency histogram. One more bucket holds everything above.
inline constexpr std::array<std::chrono::microseconds, 11> kLatencyBounds = {
    {std::chrono::microseconds(10), std::chrono::microseconds(20), std::chrono::microseconds(50),
     std::chrono::microseconds(100), std::chrono::microseconds(200), std::chrono::microseconds(500),
     std::chrono::microseconds(1000), std::chrono::microseconds(2000),
     std::chrono::microseconds(5000), std::chrono::microseconds(10000),
     std::chrono::microseconds(100000)}};

struct alignas(64) Counters {
  // First index: 0 for our zone, 1 for everything else, including unreadable messages.
  std::array<std::array<Count, kCountedTypes.size()>, 2> queries;
  std::array<std::array<Count, kRcodes>, 2> responses;
  Count truncated;        // answers with the TC bit, without those of the rate limit
  Count dropped;          // messages that did not even get an error
  Count rate_dropped;     // over the rate limit
  Count rate_truncated;   // over the rate limit: an empty answer with TC
  Count foreign_refused;  // from a client that is not allowed: REFUSED
  Count foreign_dropped;  // the same, without an answer
  // TCP
  Count open;            // connections now
  Count accepted;        // connections since the start
  Count refused_client;  // over the limit of one client
  Count evicted;         // closed in favour of another, over the limit of all
  Count idle;            // closed: no whole message within TcpLimits::idle
  // From the receipt of a message to the sending of its answer. A batch counts as one: each of its
  // answers has the time of the whole batch.
  std::array<Count, kLatencyBounds.size() + 1> latency;
  Count latency_ns;

  void record_latency(std::chrono::nanoseconds time, std::uint64_t answers) {
    std::size_t i = 0;
    while (i < kLatencyBounds.size() && time > kLatencyBounds[i]) ++i;
    latency[i].add(answers);
    latency_ns.add(static_cast<std::uint64_t>(time.count()) * answers);
  }
};

}  // namespace cw::discovery::dns
