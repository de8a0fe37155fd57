#include "tunnel/engine/admission.h"

#include <gtest/gtest.h>

#include <thread>

namespace cw::tunnel::engine {
namespace {

using Verdict = Admission::Verdict;

struct AdmissionFixture : testing::Test {
  static Key public_key(std::uint8_t seed) {
    std::array<std::uint8_t, 32> bytes{};
    bytes.fill(seed);
    return Key(bytes).public_key();
  }
  // The parts of an initiation that Admission reads.
  std::vector<std::uint8_t> message() {
    std::vector<std::uint8_t> bytes(kInitiationSize, 0);
    bytes[0] = 1;
    bytes[20] = ++serial;
    caller.sign(bytes, now);
    return bytes;
  }
  Verdict judge(std::size_t queued) {
    return admission.judge(message(), source, now, queued, reply);
  }

  SystemRandom random;
  Admission admission{random};
  const Key ours = public_key(7);
  Macs caller{ours};
  const Endpoint source = *Endpoint::parse("192.0.2.1:4000");
  TimePoint now{std::chrono::hours(1)};
  CookieReply reply{};
  std::uint8_t serial = 0;
};

TEST_F(AdmissionFixture, Item27_WithoutAKeyOrARightMac1NoMessageIsAdmittedOrAnswered) {
  EXPECT_EQ(judge(0), Verdict::kRefused);
  admission.set_key(public_key(8));
  EXPECT_EQ(judge(0), Verdict::kRefused);
  EXPECT_EQ(judge(1000), Verdict::kRefused);
  now += std::chrono::seconds(2);  // that was load, whatever its source
  admission.set_key(ours);
  EXPECT_EQ(judge(0), Verdict::kAdmitted);
  admission.set_key(std::nullopt);
  EXPECT_EQ(judge(0), Verdict::kRefused);
}

TEST_F(AdmissionFixture, Items28And36_UnderLoadAndForASecondAfterOnlyACookieGetsFurther) {
  admission.set_key(ours);
  EXPECT_EQ(judge(511), Verdict::kAdmitted);
  EXPECT_EQ(judge(512), Verdict::kCookie);
  now += std::chrono::seconds(1);
  EXPECT_EQ(judge(0), Verdict::kCookie);
  ASSERT_TRUE(caller.take_reply(reply, now));
  EXPECT_EQ(judge(1000), Verdict::kAdmitted);
  const auto elsewhere = *Endpoint::parse("192.0.2.2:4000");
  EXPECT_EQ(admission.judge(message(), elsewhere, now, 1000, reply), Verdict::kCookie);
  now += std::chrono::milliseconds(1001);
  EXPECT_EQ(admission.judge(message(), elsewhere, now, 0, reply), Verdict::kAdmitted);
}

TEST_F(AdmissionFixture, Item33_WithACookieToo_ASourceHasItsRate) {
  admission.set_key(ours);
  ASSERT_EQ(judge(1000), Verdict::kCookie);
  ASSERT_TRUE(caller.take_reply(reply, now));
  int admitted = 0;
  for (int i = 0; i < 100; ++i) {
    const auto verdict = judge(1000);
    EXPECT_NE(verdict, Verdict::kCookie);
    if (verdict == Verdict::kAdmitted) ++admitted;
  }
  EXPECT_EQ(admitted, 5);  // the burst: time stood still
}

TEST_F(AdmissionFixture, TheKeyMayChangeWhileItJudges) {
  std::thread changing([&] {
    for (int i = 0; i < 2'000; ++i) admission.set_key(i % 2 == 0 ? public_key(8) : ours);
  });
  for (int i = 0; i < 2'000; ++i) EXPECT_NE(judge(0), Verdict::kCookie);
  changing.join();
  EXPECT_EQ(judge(0), Verdict::kAdmitted);  // the last key set
}

}  // namespace
}  // namespace cw::tunnel::engine
