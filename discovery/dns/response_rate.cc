#include "discovery/dns/response_rate.h"

#include <algorithm>

namespace cw::discovery::dns {

namespace {

constexpr unsigned kTimeBits = 48;
constexpr std::uint64_t kTimeMask = (std::uint64_t{1} << kTimeBits) - 1;
constexpr std::uint64_t kSecond = 1'000'000'000;
// The longest debt that cannot be confused with an old entry. It is far below the 78 hours at which
// times wrap.
constexpr std::uint64_t kMaxWindow = 3600 * kSecond;

// The finalizer of SplitMix64 (Steele, Lea, Flood 2014): each output bit depends on each input bit.
std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27U)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31U);
}

}  // namespace

ResponseRate::ResponseRate(ResponseRateConfig config, std::uint64_t seed)
    : config_(std::move(config)), seed_(seed) {
  config_.v4_length = std::min(config_.v4_length, 32U);
  config_.v6_length = std::min(config_.v6_length, 128U);
  if (!limits()) return;
  const std::uint64_t burst = config_.burst != 0 ? config_.burst : config_.per_second;
  cost_ = std::max<std::uint64_t>(1, kSecond / config_.per_second);
  window_ = std::min(burst * cost_, kMaxWindow);
  sets_ = std::make_unique<std::array<Set, kBuckets / kWays>>();
}

std::uint64_t ResponseRate::hash_of(const IpAddress& client) const {
  unsigned left = client.is_v4() ? config_.v4_length : config_.v6_length;
  std::array<std::uint64_t, 2> words{};
  const auto bytes = client.bytes();
  for (std::size_t i = 0; i < bytes.size() && left > 0; ++i) {
    const unsigned bits = std::min(left, 8U);
    const auto kept = static_cast<std::uint64_t>(bytes[i] & (0xff00U >> bits));
    words[i / 8] |= kept << (8 * (i % 8));
    left -= bits;
  }
  return mix(mix(words[0] ^ seed_) ^ words[1] ^ (client.is_v4() ? 4U : 6U));
}

std::uint64_t ResponseRate::debt(std::uint64_t bucket, std::uint64_t now) const {
  const auto ahead = (bucket - now) & kTimeMask;
  return ahead <= window_ ? ahead : 0;  // a larger value is a time long past
}

bool ResponseRate::within(Set& set, std::uint64_t tag, std::uint64_t now) {
  // Another thread may change the bucket meanwhile. After four lost races the answer is sent,
  // because a lock would cost more.
  for (int attempt = 0; attempt < 4; ++attempt) {
    Bucket* bucket = nullptr;
    std::uint64_t value = 0;
    std::uint64_t owed = 0;
    for (auto& way : set.ways) {
      const auto one = way.load(std::memory_order_relaxed);
      const auto debt_of_one = debt(one, now);
      const bool mine = one >> kTimeBits == tag;
      if (!mine && bucket != nullptr && debt_of_one >= owed) continue;
      bucket = &way;
      value = one;
      owed = debt_of_one;
      if (mine) break;
    }
    const bool known = value >> kTimeBits == tag;
    const auto next = (known ? owed : 0) + cost_;
    if (next > window_) return false;
    const auto fresh = tag << kTimeBits | ((now + next) & kTimeMask);
    if (bucket->compare_exchange_weak(value, fresh, std::memory_order_relaxed)) return true;
  }
  return true;
}

Verdict ResponseRate::evaluate(const IpAddress& client, Time now) {
  if (!limits()) return Verdict::kAnswer;
  for (const auto& prefix : config_.exempt) {
    if (prefix.contains(client)) return Verdict::kAnswer;
  }
  const auto hash = hash_of(client);
  auto& set = (*sets_)[hash % sets_->size()];
  const auto time = static_cast<std::uint64_t>(now.count()) & kTimeMask;
  if (within(set, hash >> kTimeBits, time)) return Verdict::kAnswer;
  if (config_.slip == 0) return Verdict::kDrop;
  const auto turn = over_.fetch_add(1, std::memory_order_relaxed);
  return (turn + 1) % config_.slip == 0 ? Verdict::kTruncate : Verdict::kDrop;
}

}  // namespace cw::discovery::dns
