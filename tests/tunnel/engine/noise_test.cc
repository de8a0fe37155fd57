// The handshake, cookies, replay window and cryptokey routing of the engine. Names carry the item
// numbers of docs/protocol/wireguard.md.
#include "tunnel/engine/noise.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "base/fake/sim_loop.h"
#include "tests/tunnel/engine/hex.h"
#include "tunnel/engine/allowed_ips.h"
#include "tunnel/engine/cookie.h"
#include "tunnel/engine/replay.h"

namespace cw::tunnel::engine {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct Pair {
  explicit Pair(const Key& psk_a = {}, const Key& psk_b = {})
      : a_key(Key::generate_private(random)),
        b_key(Key::generate_private(random)),
        a_id{a_key, a_key.public_key()},
        b_id{b_key, b_key.public_key()},
        a(a_id, b_id.public_key, psk_a),
        b(b_id, a_id.public_key, psk_b) {}
  SeededRandom random{42};
  WallTime now{seconds(1'800'000'000)};
  Key a_key, b_key;
  Identity a_id, b_id;
  Handshake a, b;

  std::optional<Response> up_to_response() {
    const auto init = a.create_initiation(11, now, random);
    if (!init) return std::nullopt;
    const auto caller = identify(b_id, *init);
    if (!caller || !b.consume_initiation(*caller, *init)) return std::nullopt;
    return b.create_response(22, random);
  }
};

TEST(Noise, Item9And15_BothSidesDeriveMirroredKeys) {
  Pair pair;
  const auto response = pair.up_to_response();
  ASSERT_TRUE(response);
  ASSERT_TRUE(pair.a.consume_response(*response));
  const auto a = pair.a.derive_keys();
  const auto b = pair.b.derive_keys();
  ASSERT_TRUE(a && b);
  EXPECT_EQ(a->send, b->receive);
  EXPECT_EQ(a->receive, b->send);
  EXPECT_NE(a->send, a->receive);
  EXPECT_TRUE(a->initiator);
  EXPECT_FALSE(b->initiator);
  EXPECT_EQ(a->local_index, 11U);
  EXPECT_EQ(a->remote_index, 22U);
  EXPECT_EQ(b->local_index, 22U);
  EXPECT_EQ(b->remote_index, 11U);
  EXPECT_FALSE(pair.a.derive_keys());
}

TEST(Noise, Item12And19_ThePresharedKeyIsMixedIn) {
  SeededRandom random(1);
  const auto psk = Key::generate_preshared(random);
  Pair same(psk, psk);
  const auto good = same.up_to_response();
  EXPECT_TRUE(good && same.a.consume_response(*good));
  Pair different(psk, Key());
  const auto bad = different.up_to_response();
  EXPECT_TRUE(bad && !different.a.consume_response(*bad));
  different.a.set_preshared(Key());
  EXPECT_TRUE(different.a.consume_response(*bad));
}

TEST(Noise, Item13_LowOrderPeersNeverGetAPacket) {
  SeededRandom random(1);
  const auto key = Key::generate_private(random);
  Bytes32 one{};
  one[0] = 1;
  Bytes32 all_ones{};  // p = 2^255 - 19, a low-order point as 0 and 1
  all_ones.fill(0xff);
  all_ones[0] = 0xed;
  all_ones[31] = 0x7f;
  for (const auto& point : {Bytes32{}, one, all_ones}) {
    Handshake handshake({key, key.public_key()}, Key(point), {});
    EXPECT_FALSE(handshake.possible());
    EXPECT_FALSE(handshake.create_initiation(1, WallTime{}, random));
  }
}

TEST(Noise, Item20And21_OnlyNewerTimestampsAreTakenAndOnlyFromValidMessages) {
  Pair pair;
  const auto first = pair.a.create_initiation(1, pair.now, pair.random);
  const auto caller = identify(pair.b_id, *first);
  ASSERT_TRUE(caller);
  auto forged = *first;
  forged[90] ^= 1;  // inside the sealed timestamp
  const auto forged_caller = identify(pair.b_id, forged);
  ASSERT_TRUE(forged_caller);
  EXPECT_FALSE(pair.b.consume_initiation(*forged_caller, forged));
  EXPECT_TRUE(pair.b.consume_initiation(*caller, *first));
  EXPECT_FALSE(pair.b.consume_initiation(*caller, *first));  // a replay
  const auto older = pair.a.create_initiation(1, pair.now - seconds(1), pair.random);
  EXPECT_FALSE(pair.b.consume_initiation(*identify(pair.b_id, *older), *older));
  const auto newer = pair.a.create_initiation(1, pair.now + milliseconds(20), pair.random);
  EXPECT_TRUE(pair.b.consume_initiation(*identify(pair.b_id, *newer), *newer));
}

TEST(Noise, Item20_TimestampsAreTai64nWhitenedTo16ms) {
  const WallTime base{seconds(1'800'000'000)};
  EXPECT_EQ(hex(tai64n(base)), "400000006b49d20a00000000");
  EXPECT_EQ(tai64n(base), tai64n(base + milliseconds(16)));
  EXPECT_LT(tai64n(base), tai64n(base + milliseconds(17)));
  EXPECT_LT(tai64n(base + milliseconds(999)), tai64n(base + seconds(1)));
}

TEST(Noise, Item23_AResponseIsTakenOnceByTheInitiationItAnswers) {
  Pair pair;
  const auto response = pair.up_to_response();
  auto wrong_index = *response;
  wrong_index[8] ^= 1;
  EXPECT_FALSE(pair.a.consume_response(wrong_index));
  auto forged = *response;
  forged[50] ^= 1;
  EXPECT_FALSE(pair.a.consume_response(forged));
  EXPECT_TRUE(pair.a.consume_response(*response));
  EXPECT_FALSE(pair.a.consume_response(*response));
}

TEST(Noise, AStrangersOrCorruptInitiationIdentifiesNoPeer) {
  Pair pair;
  const auto init = pair.a.create_initiation(1, pair.now, pair.random);
  EXPECT_FALSE(identify(pair.a_id, *init));  // not for us
  for (const std::size_t at : {4U + 4U, 40U, 87U}) {
    auto broken = *init;
    broken[at] ^= 0x40;
    EXPECT_FALSE(identify(pair.b_id, broken)) << at;
  }
}

TEST(Noise, Item18_ANewIdentityShakesHandsAtOnce) {
  Pair pair;
  const auto key = Key::generate_private(pair.random);
  const Identity fresh{key, key.public_key()};
  pair.a.set_identity(fresh);
  Handshake b(pair.b_id, fresh.public_key, {});
  const auto init = pair.a.create_initiation(1, pair.now, pair.random);
  const auto caller = identify(pair.b_id, *init);
  ASSERT_TRUE(caller);
  EXPECT_EQ(caller->public_key, fresh.public_key);
  ASSERT_TRUE(b.consume_initiation(*caller, *init));
  EXPECT_TRUE(pair.a.consume_response(*b.create_response(2, pair.random)));
}

TEST(Messages, Item1And2And3And4And5And6_OnlyKnownTypesOfExactSizeWithZeroReservedBytes) {
  for (std::size_t size = 0; size < 200; ++size) {
    for (unsigned type = 0; type < 8; ++type) {
      std::vector<std::uint8_t> message(size);
      if (size > 0) message[0] = static_cast<std::uint8_t>(type);
      const bool want = (type == 1 && size == 148) || (type == 2 && size == 92) ||
                        (type == 3 && size == 64) || (type == 4 && size >= 32);
      EXPECT_EQ(message_type(message).has_value(), want) << type << " " << size;
      if (want) {
        message[2] = 1;
        EXPECT_FALSE(message_type(message));
      }
    }
  }
}

struct CookieFixture : testing::Test {
  SeededRandom random{9};
  Key key = Key::generate_private(random);
  Key pub = key.public_key();
  MacChecker checker{pub};
  Macs macs{pub};
  Endpoint source{*IpAddress::parse("192.0.2.7"), 5555};
  TimePoint now{std::chrono::hours(1)};
  Initiation message{1};
};

TEST_F(CookieFixture, Item27_Mac1IsNeededAlways) {
  EXPECT_EQ(checker.check(message, source, now, random), MacVerdict::kInvalid);
  macs.sign(message, now);
  EXPECT_EQ(checker.check(message, source, now, random), MacVerdict::kValid);
  message[20] ^= 1;
  EXPECT_EQ(checker.check(message, source, now, random), MacVerdict::kInvalid);
}

TEST_F(CookieFixture, Items29And30And31_ACookieProvesTheSourceAddressAndPort) {
  macs.sign(message, now);
  const auto reply = checker.reply(message, source, now, random);
  ASSERT_TRUE(macs.take_reply(reply, now));
  EXPECT_FALSE(macs.take_reply(reply, now));  // item 31: its mac1 has been used
  macs.sign(message, now);
  EXPECT_EQ(checker.check(message, source, now, random), MacVerdict::kValidWithCookie);
  auto other = source;
  other.port = 5556;
  EXPECT_EQ(checker.check(message, other, now, random), MacVerdict::kValid);
  other = {*IpAddress::parse("192.0.2.8"), 5555};
  EXPECT_EQ(checker.check(message, other, now, random), MacVerdict::kValid);
}

TEST_F(CookieFixture, Item30_ForgedRepliesAreIgnored) {
  macs.sign(message, now);
  auto reply = checker.reply(message, source, now, random);
  reply[40] ^= 1;
  EXPECT_FALSE(macs.take_reply(reply, now));
}

TEST_F(CookieFixture, Items31And32_CookiesAgeAtBothEnds) {
  macs.sign(message, now);
  ASSERT_TRUE(macs.take_reply(checker.reply(message, source, now, random), now));
  macs.sign(message, now + seconds(114));
  EXPECT_EQ(checker.check(message, source, now + seconds(114), random),
            MacVerdict::kValidWithCookie);
  EXPECT_EQ(checker.check(message, source, now + seconds(120), random), MacVerdict::kValid);
  Initiation late{1};
  macs.sign(late, now + seconds(115));
  EXPECT_TRUE(std::all_of(late.end() - 16, late.end(), [](auto b) { return b == 0; }));
}

TEST(RateLimiter, Items33And34_TwentyPerSecondWithABurstOfFivePerSource) {
  RateLimiter limiter;
  const auto a = *IpAddress::parse("192.0.2.1");
  const auto b = *IpAddress::parse("192.0.2.2");
  TimePoint now{std::chrono::hours(1)};
  int allowed = 0;
  for (int i = 0; i < 1000; ++i) allowed += limiter.allow(a, now) ? 1 : 0;
  EXPECT_EQ(allowed, 5);
  EXPECT_TRUE(limiter.allow(b, now));
  for (int i = 0; i < 1000; ++i) allowed += limiter.allow(a, now += milliseconds(1)) ? 1 : 0;
  EXPECT_NEAR(allowed, 25, 1);
  EXPECT_TRUE(limiter.allow(*IpAddress::parse("2001:db8::1"), now));
  int v6 = 1;
  for (int i = 0; i < 50; ++i) {
    v6 += limiter.allow(*IpAddress::parse("2001:db8::" + std::to_string(i + 2)), now) ? 1 : 0;
  }
  EXPECT_EQ(v6, 5);  // one /64 is one source
}

TEST(RateLimiter, Item33_TheTableIsBoundedAndSwept) {
  RateLimiter limiter;
  TimePoint now{std::chrono::hours(1)};
  for (unsigned i = 0; i < 20'000; ++i) {
    (void)limiter.allow(
        IpAddress::v4({10, static_cast<std::uint8_t>(i >> 16U), static_cast<std::uint8_t>(i >> 8U),
                       static_cast<std::uint8_t>(i)}),
        now);
  }
  EXPECT_EQ(limiter.size(), RateLimiter::kMaxSources);
  EXPECT_TRUE(limiter.allow(*IpAddress::parse("192.0.2.1"), now + seconds(3)));
  EXPECT_EQ(limiter.size(), 1U);
}

TEST(Replay, Item24And26_EachCounterOnceWithinTheWindow) {
  ReplayWindow window;
  EXPECT_TRUE(window.accept(0));
  EXPECT_FALSE(window.accept(0));
  EXPECT_TRUE(window.accept(1));
  EXPECT_TRUE(window.accept(9));
  EXPECT_TRUE(window.accept(8));
  EXPECT_FALSE(window.accept(9));
  constexpr auto kWide = ReplayWindow::kUsable;
  EXPECT_TRUE(window.accept(kWide));
  EXPECT_TRUE(window.accept(kWide - 1));
  EXPECT_FALSE(window.accept(kWide));
  EXPECT_TRUE(window.accept(2));
  EXPECT_FALSE(window.accept(2));
  EXPECT_TRUE(window.accept(kWide + 16));
  EXPECT_FALSE(window.accept(3));  // too old now
  EXPECT_FALSE(window.accept(kWide + 16));
  EXPECT_TRUE(window.accept(kWide * 4));
  EXPECT_TRUE(window.accept(kWide * 4 - (kWide - 1)));
  EXPECT_FALSE(window.accept(10));
  EXPECT_FALSE(window.accept(kWide * 4 - kWide));
  EXPECT_FALSE(window.accept(0));
}

TEST(Replay, Item25_CountersAtTheLimitAreRefused) {
  ReplayWindow window;
  EXPECT_TRUE(window.accept(kRejectAfterMessages - 1));
  EXPECT_FALSE(window.accept(kRejectAfterMessages));
  EXPECT_FALSE(window.accept(UINT64_MAX));
  EXPECT_TRUE(window.accept(kRejectAfterMessages - 2));
}

TEST(Replay, Item24_AgreesWithASetOnRandomOrders) {
  std::mt19937_64 random(3);
  ReplayWindow window;
  std::map<std::uint64_t, bool> seen;
  std::uint64_t next = 0;
  for (int i = 0; i < 200'000; ++i) {
    std::uint64_t counter = next;
    const auto dice = random() % 100;
    if (dice < 30) counter = next - std::min(next, random() % 9000);
    if (dice > 97) counter = next + random() % 20'000;
    const bool in_window = counter >= next || next - counter <= ReplayWindow::kUsable;
    const bool want = in_window && !seen[counter];
    ASSERT_EQ(window.accept(counter), want) << counter << " next " << next;
    if (want) seen[counter] = true;
    next = std::max(next, counter + (want ? 1 : 0));
  }
}

TEST(AllowedIps, Item55_LongestPrefixWinsAndAPrefixHasOneOwner) {
  AllowedIps<int> trie;
  const auto p = [](const char* text) { return *Prefix::parse(text); };
  const auto at = [&](const char* text) { return trie.find(*IpAddress::parse(text)); };
  trie.insert(p("0.0.0.0/0"), 1);
  trie.insert(p("10.0.0.0/8"), 2);
  trie.insert(p("10.8.0.0/16"), 3);
  trie.insert(p("10.8.0.1/32"), 4);
  EXPECT_EQ(at("11.0.0.1"), 1);
  EXPECT_EQ(at("10.9.0.1"), 2);
  EXPECT_EQ(at("10.8.0.2"), 3);
  EXPECT_EQ(at("10.8.0.1"), 4);
  EXPECT_EQ(at("::1"), std::nullopt);
  trie.insert(p("10.8.0.0/16"), 5);
  EXPECT_EQ(at("10.8.0.2"), 5);
  trie.remove(p("10.8.0.0/16"), 3);  // no longer the owner
  EXPECT_EQ(at("10.8.0.2"), 5);
  trie.remove(p("10.8.0.0/16"), 5);
  EXPECT_EQ(at("10.8.0.2"), 2);
  EXPECT_EQ(at("10.8.0.1"), 4);
}

TEST(AllowedIps, AgreesWithAListOnRandomTables) {
  std::mt19937 random(5);
  AllowedIps<int> trie;
  std::map<Prefix, int> list;
  const auto address = [&](bool v6) {
    if (!v6) {
      return IpAddress::v4(
          {10, 0, static_cast<std::uint8_t>(random() % 4), static_cast<std::uint8_t>(random())});
    }
    std::array<std::uint8_t, 16> b{0xfd};
    b[14] = static_cast<std::uint8_t>(random() % 4);
    b[15] = static_cast<std::uint8_t>(random());
    return IpAddress::v6(b);
  };
  for (int i = 0; i < 30'000; ++i) {
    const bool v6 = random() % 2 == 0;
    const auto a = address(v6);
    const auto prefix = *Prefix::of(a, (v6 ? 108U : 12U) + static_cast<unsigned>(random() % 21));
    const int owner = static_cast<int>(random() % 5);
    if (random() % 3 != 0) {
      trie.insert(prefix, owner);
      list[prefix] = owner;
    } else {
      trie.remove(prefix, owner);
      if (list.count(prefix) != 0 && list[prefix] == owner) list.erase(prefix);
    }
    const auto probe = address(v6);
    std::optional<int> want;
    unsigned length = 0;
    for (const auto& [p, o] : list) {
      if (p.contains(probe) && (!want || p.length() >= length)) {
        want = o;
        length = p.length();
      }
    }
    ASSERT_EQ(trie.find(probe), want);
    if (list.size() > 300) {
      trie.remove(list.begin()->first, list.begin()->second);
      list.erase(list.begin());
    }
  }
  std::map<Prefix, int> walked;
  trie.each([&](const Prefix& p, int o) { walked[p] = o; });
  EXPECT_EQ(walked, list);
}

}  // namespace
}  // namespace cw::tunnel::engine
