// The rate limit of answers over UDP: first the pure part with simulated time, then the server.
#include <map>

#include "discovery/dns/metrics.h"
#include "tests/discovery/dns_scene.h"

namespace cw::discovery {
namespace {

using dns::ResponseRate;
using dns::ResponseRateConfig;
using dns::Verdict;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

const IpAddress kOne = *IpAddress::parse("192.0.2.1");
const IpAddress kTwo = *IpAddress::parse("192.0.2.2");

ResponseRateConfig limit(std::uint32_t per_second, std::uint32_t burst = 0,
                         std::uint32_t slip = 2) {
  ResponseRateConfig config;
  config.per_second = per_second;
  config.burst = burst;
  config.slip = slip;
  return config;
}

std::map<Verdict, int> take(ResponseRate& rate, const IpAddress& client, nanoseconds now, int n) {
  std::map<Verdict, int> out;
  for (int i = 0; i < n; ++i) ++out[rate.evaluate(client, now)];
  return out;
}

TEST(ResponseRate, ABurstIsAnsweredAndThenWhatTheRateEarns) {
  ResponseRate rate(limit(10, 5), 1);
  const nanoseconds start = seconds(1000);
  EXPECT_EQ(take(rate, kOne, start, 8)[Verdict::kAnswer], 5);
  EXPECT_EQ(take(rate, kOne, start + milliseconds(99), 8)[Verdict::kAnswer], 0);
  EXPECT_EQ(take(rate, kOne, start + milliseconds(100), 8)[Verdict::kAnswer], 1);
  EXPECT_EQ(take(rate, kOne, start + milliseconds(400), 8)[Verdict::kAnswer], 3);
  EXPECT_EQ(take(rate, kOne, start + seconds(60), 8)[Verdict::kAnswer], 5);  // no more than a burst
}

TEST(ResponseRate, OverAnHourExactlyTheRateIsAnswered) {
  ResponseRate rate(limit(100), 1);
  int answered = 0;
  for (int ms = 0; ms < 3600 * 1000; ++ms) {  // 1,000 queries per second
    answered += rate.evaluate(kOne, milliseconds(ms)) == Verdict::kAnswer ? 1 : 0;
  }
  EXPECT_NEAR(answered, 100 * 3600 + 100, 1);
}

TEST(ResponseRate, EveryNthAnswerOverTheLimitIsTruncated) {
  for (const auto& [slip, truncated] :
       std::map<std::uint32_t, int>{{0, 0}, {1, 90}, {2, 45}, {3, 30}}) {
    ResponseRate rate(limit(10, 10, slip), 1);
    auto got = take(rate, kOne, seconds(5), 100);
    EXPECT_EQ(got[Verdict::kAnswer], 10) << slip;
    EXPECT_EQ(got[Verdict::kTruncate], truncated) << slip;
    EXPECT_EQ(got[Verdict::kDrop], 90 - truncated) << slip;
  }
}

TEST(ResponseRate, ZeroIsNoLimit) {
  ResponseRate rate(limit(0), 1);
  EXPECT_FALSE(rate.limits());
  EXPECT_EQ(take(rate, kOne, seconds(1), 100000)[Verdict::kAnswer], 100000);
}

TEST(ResponseRate, ClientsDoNotShareUnlessTheirPrefixesAreOne) {
  auto config = limit(5);
  ResponseRate rate(config, 1);
  EXPECT_EQ(take(rate, kOne, seconds(1), 50)[Verdict::kAnswer], 5);
  EXPECT_EQ(take(rate, kTwo, seconds(1), 50)[Verdict::kAnswer], 5);
  // One client has the whole of its /64.
  EXPECT_EQ(take(rate, *IpAddress::parse("2001:db8::1"), seconds(1), 50)[Verdict::kAnswer], 5);
  EXPECT_EQ(take(rate, *IpAddress::parse("2001:db8::2:1"), seconds(1), 50)[Verdict::kAnswer], 0);
  EXPECT_EQ(take(rate, *IpAddress::parse("2001:db8:0:1::1"), seconds(1), 50)[Verdict::kAnswer], 5);
  config.v4_length = 30;
  config.v6_length = 128;
  ResponseRate other(config, 1);
  EXPECT_EQ(take(other, kOne, seconds(1), 50)[Verdict::kAnswer], 5);
  EXPECT_EQ(take(other, kTwo, seconds(1), 50)[Verdict::kAnswer], 0);
  EXPECT_EQ(take(other, *IpAddress::parse("192.0.2.4"), seconds(1), 50)[Verdict::kAnswer], 5);
  EXPECT_EQ(take(other, *IpAddress::parse("2001:db8::1"), seconds(1), 50)[Verdict::kAnswer], 5);
  EXPECT_EQ(take(other, *IpAddress::parse("2001:db8::2"), seconds(1), 50)[Verdict::kAnswer], 5);
}

TEST(ResponseRate, ExemptPrefixesAreNeverLimited) {
  auto config = limit(1);
  config.exempt = {*Prefix::parse("192.0.2.0/31"), *Prefix::parse("fd00::/8")};
  ResponseRate rate(config, 1);
  EXPECT_EQ(take(rate, kOne, seconds(1), 50)[Verdict::kAnswer], 50);
  EXPECT_EQ(take(rate, *IpAddress::parse("fd12::1"), seconds(1), 50)[Verdict::kAnswer], 50);
  EXPECT_EQ(take(rate, kTwo, seconds(1), 50)[Verdict::kAnswer], 1);
}

TEST(ResponseRate, ForgedAddressesCostAnHonestOneNothingAndOneThatFloodsOnlyAFreshBucket) {
  ResponseRate rate(limit(10), 7);
  EXPECT_EQ(take(rate, kTwo, seconds(1), 100)[Verdict::kAnswer], 10);
  int known = 0;
  for (std::uint32_t i = 0; i < 4 * ResponseRate::kBuckets; ++i) {
    const auto forged =
        IpAddress::v4({10, static_cast<std::uint8_t>(i >> 16U), static_cast<std::uint8_t>(i >> 8U),
                       static_cast<std::uint8_t>(i)});
    known += rate.evaluate(forged, seconds(1)) == Verdict::kAnswer ? 0 : 1;
  }
  // Only a collision of hashes takes one client for another.
  EXPECT_LT(known, 20);
  EXPECT_EQ(rate.evaluate(kOne, seconds(1)), Verdict::kAnswer);
  EXPECT_LE(take(rate, kTwo, seconds(1), 100)[Verdict::kAnswer], 10);
}

TEST(ResponseRate, OldEntriesDoNotLimitWhenTheClockOfTheTableWraps) {
  ResponseRate rate(limit(10), 1);
  const auto wrap = nanoseconds(std::int64_t{1} << 48U);
  EXPECT_EQ(take(rate, kOne, wrap - milliseconds(50), 50)[Verdict::kAnswer], 10);
  EXPECT_EQ(take(rate, kOne, wrap + milliseconds(50), 50)[Verdict::kAnswer], 1);
  EXPECT_EQ(take(rate, kOne, wrap + wrap / 2, 50)[Verdict::kAnswer], 10);
}

TEST(ResponseRate, ThreadsShareOneBudgetAClient) {
  ResponseRate rate(limit(1000), 1);
  std::atomic<int> answered{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 5000; ++i)
        answered += rate.evaluate(kOne, seconds(9)) == Verdict::kAnswer ? 1 : 0;
    });
  }
  for (auto& thread : threads) thread.join();
  // Queries that lose a race are answered: few.
  EXPECT_GE(answered, 1000);
  EXPECT_LE(answered, 1100);
}

TEST_F(Serving, AFloodOverTheRateIsCutAndItsClientIsServedOverTcp) {
  start({}, limit(1, 20));
  const auto flood = connect(SOCK_DGRAM, "127.0.0.2", milliseconds(200));
  for (int i = 0; i < 500; ++i) (void)::send(flood.get(), query.data(), query.size(), 0);
  int full = 0;
  int truncated = 0;
  for (Bytes out(2000);; out.resize(2000)) {
    const auto n = ::recv(flood.get(), out.data(), out.size(), 0);
    if (n <= 0) break;
    out.resize(static_cast<std::size_t>(n));
    const auto answer = read_answer(out);
    EXPECT_EQ(answer.tc, answer.records.empty());
    EXPECT_EQ(answer.rcode, Rcode::kNoError);
    ++(answer.tc ? truncated : full);
  }
  EXPECT_GE(full, 20);
  EXPECT_LE(full, 25);  // the burst, and the tokens of the test's own seconds
  EXPECT_NEAR(truncated, 240, 5);
  const auto other = connect(SOCK_DGRAM, "127.0.0.3");
  EXPECT_EQ(read_answer(exchange(other, query)).records, Strings{"10.1.0.5"});
  const auto tcp = connect(SOCK_STREAM, "127.0.0.2");  // never limited
  for (int i = 0; i < 50; ++i) {
    send_tcp(tcp, query);
    EXPECT_EQ(read_answer(receive_tcp(tcp)).records, Strings{"10.1.0.5"});
  }
  Metrics metrics;
  dns::ServerMetrics to(metrics, *server);
  to.refresh();
  const auto text = metrics.text();
  EXPECT_NE(text.find("causeway_dns_dropped_total{reason=\"rate\"} 24"), std::string::npos) << text;
  EXPECT_NE(text.find("causeway_dns_rate_truncated_total 2"), std::string::npos) << text;
}

}  // namespace
}  // namespace cw::discovery
