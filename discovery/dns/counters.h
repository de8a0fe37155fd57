// What the threads of the DNS server count. Each thread writes its own Counters and nobody else's:
// an addition is a load and a store, no locked instruction and no shared cache line. Whoever
// scrapes adds them up. Counts never go back; `open` is a gauge.
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

// The query types that are counted by name; the last stands for all others.
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

inline constexpr std::size_t kRcodes = 17;  // 0-15 and BADVERS

// Upper bounds of the latency histogram; one more bucket holds the rest.
inline constexpr std::array<std::chrono::microseconds, 11> kLatencyBounds = {
    {std::chrono::microseconds(10), std::chrono::microseconds(20), std::chrono::microseconds(50),
     std::chrono::microseconds(100), std::chrono::microseconds(200), std::chrono::microseconds(500),
     std::chrono::microseconds(1000), std::chrono::microseconds(2000),
     std::chrono::microseconds(5000), std::chrono::microseconds(10000),
     std::chrono::microseconds(100000)}};

struct alignas(64) Counters {
  // First index: 0 our zone, 1 everything else (also what could not be read).
  std::array<std::array<Count, kCountedTypes.size()>, 2> queries;
  std::array<std::array<Count, kRcodes>, 2> responses;
  Count truncated;        // answers with the TC bit, without those of the rate limit
  Count dropped;          // not even an error could be answered
  Count rate_dropped;     // over the rate limit
  Count rate_truncated;   // over the rate limit, told to use TCP
  Count foreign_refused;  // of clients that are not ours
  Count foreign_dropped;  // the same, without an answer
  // TCP
  Count open;            // connections now
  Count accepted;        // connections ever
  Count refused_client;  // over the limit of one client
  Count evicted;         // made room for another, over the limit of all
  Count idle;            // closed as no whole message came in time
  // From a message's receipt to the hand-over of its answer; those of one batch count as the batch.
  std::array<Count, kLatencyBounds.size() + 1> latency;
  Count latency_ns;

  void took(std::chrono::nanoseconds time, std::uint64_t answers) {
    std::size_t i = 0;
    while (i < kLatencyBounds.size() && time > kLatencyBounds[i]) ++i;
    latency[i].add(answers);
    latency_ns.add(static_cast<std::uint64_t>(time.count()) * answers);
  }
};

}  // namespace cw::discovery::dns
