// Two cores that exchange datagrams over a simulated network: sessions, timers, roaming, floods.
// Names carry the item numbers of docs/protocol/wireguard.md.
#include "tunnel/engine/protocol.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <queue>
#include <random>
#include <set>

#include "base/fake/sim_loop.h"
#include "tests/tunnel/engine/packets.h"
#include "tunnel/engine/icmp.h"

namespace cw::tunnel::engine {
namespace {

using std::chrono::hours;

std::vector<std::uint8_t> ipv4(const char* source, const char* destination, std::size_t size,
                               std::uint8_t tag = 0) {
  std::vector<std::uint8_t> packet(size);
  packet[0] = 0x45;
  packet[2] = static_cast<std::uint8_t>(size >> 8U);
  packet[3] = static_cast<std::uint8_t>(size);
  const auto from = *IpAddress::parse(source);
  const auto to = *IpAddress::parse(destination);
  std::copy(from.bytes().begin(), from.bytes().end(), packet.begin() + 12);
  std::copy(to.bytes().begin(), to.bytes().end(), packet.begin() + 16);
  packet.back() = tag;
  return packet;
}

// A protocol with an address, and the packets that it delivered.
struct Side {
  explicit Side(std::uint64_t seed, const char* address)
      : random(seed), protocol(random), at{*Endpoint::parse(address), std::nullopt, 0} {
    private_key = Key::generate_private(random);
    protocol.set_private_key(private_key);
  }
  SeededRandom random;
  Protocol protocol;
  Path at;
  Key private_key;
  std::vector<std::vector<std::uint8_t>> packets;
};

// Delivers datagrams between two sides with loss, delay, duplication and reordering; keeps time.
class World : public testing::Test {
 protected:
  struct Flight {
    TimePoint at;
    std::uint64_t order;
    Side* to;
    Path from;
    std::vector<std::uint8_t> bytes;
    bool operator<(const Flight& other) const {
      return std::tie(other.at, other.order) < std::tie(at, order);
    }
  };

  World() {
    pa = a.protocol.add_peer(b.private_key.public_key());
    pb = b.protocol.add_peer(a.private_key.public_key());
    a.protocol.add_allowed_ip(*pa, *Prefix::parse("10.2.0.0/16"));
    b.protocol.add_allowed_ip(*pb, *Prefix::parse("10.1.0.0/16"));
    a.protocol.set_endpoint(*pa, b.at.remote);
  }

  void carry(Side& from, Output& out) {
    for (auto& packet : out.packets) from.packets.push_back(std::move(packet));
    for (auto& datagram : out.datagrams) {
      seen.push_back({&from, datagram.bytes, now});
      auto& to = &from == &a ? b : a;
      if (!(datagram.to.remote == to.at.remote)) continue;  // no side has this address
      const int copies = loss > 0 && chance() < loss ? 0 : (chance() < duplicate ? 2 : 1);
      for (int i = 0; i < copies; ++i) {
        const auto delay = base_delay + milliseconds(static_cast<int>(chance() * jitter_ms));
        network.push({now + delay, order++, &to, from.at, datagram.bytes});
      }
    }
    out = {};
  }

  void run(Duration span) {
    const auto end = now + span;
    for (std::uint64_t steps = 0; steps < 50'000'000; ++steps) {
      std::optional<TimePoint> next;
      const auto consider = [&](std::optional<TimePoint> t) {
        if (t && (!next || *t < *next)) next = t;
      };
      consider(a.protocol.next_timer());
      consider(b.protocol.next_timer());
      if (!network.empty()) consider(network.top().at);
      if (!next || *next > end) break;
      now = std::max(now, *next);
      while (!network.empty() && network.top().at <= now) {
        const auto flight = network.top();
        network.pop();
        Output out;
        flight.to->protocol.on_datagram(flight.bytes, flight.from, now, wall(), 0, out);
        carry(*flight.to, out);
      }
      for (auto* side : {&a, &b}) {
        Output out;
        side->protocol.tick(now, wall(), out);
        carry(*side, out);
      }
    }
    now = end;
  }

  SendVerdict send(Side& from, const std::vector<std::uint8_t>& packet) {
    Output out;
    const auto verdict = from.protocol.encrypt(packet, now, wall(), out);
    carry(from, out);
    return verdict;
  }
  SendVerdict a_to_b(std::uint8_t tag = 0) {
    return send(a, ipv4("10.1.0.1", "10.2.0.1", 64, tag));
  }
  SendVerdict b_to_a(std::uint8_t tag = 0) {
    return send(b, ipv4("10.2.0.1", "10.1.0.1", 64, tag));
  }

  std::size_t count(MessageType type, const Side* from = nullptr, std::size_t since = 0) const {
    return static_cast<std::size_t>(std::count_if(
        seen.begin() + static_cast<std::ptrdiff_t>(since), seen.end(), [&](const auto& s) {
          return s.bytes[0] == static_cast<std::uint8_t>(type) &&
                 (from == nullptr || s.from == from);
        }));
  }
  [[nodiscard]] WallTime wall() const {
    return WallTime(seconds(1'800'000'000)) + (now - TimePoint{}) + wall_step;
  }
  double chance() { return std::uniform_real_distribution<>(0, 1)(dice); }

  struct Seen {
    const Side* from;
    std::vector<std::uint8_t> bytes;
    TimePoint at;
  };
  TimePoint now{hours(1)};
  Duration wall_step{};  // the wall clock was set
  Side a{1, "192.0.2.1:4500"};
  Side b{2, "192.0.2.2:4500"};
  Peer* pa = nullptr;  // b as a sees it
  Peer* pb = nullptr;
  std::priority_queue<Flight> network;
  std::vector<Seen> seen;
  std::uint64_t order = 0;
  std::mt19937 dice{7};
  double loss = 0;
  double duplicate = 0;
  double jitter_ms = 0;
  Duration base_delay = milliseconds(5);
};

TEST_F(World, Item57_StagedPacketsGoOutInOrderAfterTheHandshake) {
  for (std::uint8_t i = 0; i < 5; ++i) EXPECT_EQ(a_to_b(i), SendVerdict::kStage);
  run(seconds(1));
  ASSERT_EQ(b.packets.size(), 5U);
  for (std::uint8_t i = 0; i < 5; ++i) EXPECT_EQ(b.packets[i].back(), i);
  EXPECT_EQ(count(MessageType::kInitiation), 1U);
  EXPECT_EQ(count(MessageType::kResponse), 1U);
  EXPECT_EQ(a_to_b(9), SendVerdict::kSend);
  EXPECT_EQ(b_to_a(8), SendVerdict::kSend);
  run(seconds(1));
  EXPECT_EQ(b.packets.back().back(), 9);
  EXPECT_EQ(a.packets.back().back(), 8);
}

TEST_F(World, Item57_TheOldestOfMoreThan128StagedPacketsIsDropped) {
  a.protocol.set_endpoint(*pa, *Endpoint::parse("192.0.2.99:1"));
  for (int i = 0; i < 130; ++i) (void)a_to_b(static_cast<std::uint8_t>(i));
  ASSERT_EQ(pa->staged.size(), 128U);
  EXPECT_EQ(pa->staged.front().back(), 2);
}

TEST_F(World, Item37_TheResponderSendsNoDataBeforeItHasHeardTheInitiator) {
  Output out;
  (void)a.protocol.encrypt(ipv4("10.1.0.1", "10.2.0.1", 64), now, wall(), out);
  const auto initiation = out.datagrams.at(0).bytes;
  Output answer;
  b.protocol.on_datagram(initiation, a.at, now, wall(), 0, answer);
  ASSERT_EQ(answer.datagrams.size(), 1U);
  EXPECT_EQ(pb->current, nullptr);
  EXPECT_NE(pb->next, nullptr);
  EXPECT_EQ(b_to_a(), SendVerdict::kStage);
  Output confirm;
  a.protocol.on_datagram(answer.datagrams[0].bytes, b.at, now, wall(), 0, confirm);
  ASSERT_EQ(confirm.datagrams.size(), 1U);  // the staged packet confirms; no extra keepalive
  b.protocol.on_datagram(confirm.datagrams[0].bytes, a.at, now, wall(), 0, answer);
  EXPECT_NE(pb->current, nullptr);
  EXPECT_EQ(pb->next, nullptr);
}

TEST_F(World, Item37_AnInitiatorWithNothingToSayConfirmsByAKeepalive) {
  a.protocol.set_keepalive(*pa, 25, now);
  run(seconds(1));
  EXPECT_EQ(count(MessageType::kInitiation, &a), 1U);
  EXPECT_EQ(count(MessageType::kData, &a), 1U);
  EXPECT_NE(pb->current, nullptr);
}

TEST_F(World, Item38_ANewSessionGoesThroughTheThreeSlotsAndTheOldOneStaysReadable) {
  (void)a_to_b();
  run(seconds(1));
  const auto first_a = pa->current;
  const auto first_b = pb->current;
  ASSERT_NE(first_a, nullptr);
  ASSERT_NE(first_b, nullptr);
  run(seconds(121));
  Output out;
  EXPECT_EQ(a.protocol.encrypt(ipv4("10.1.0.1", "10.2.0.1", 64), now, wall(), out),
            SendVerdict::kSend);
  const auto initiation =
      std::find_if(out.datagrams.begin(), out.datagrams.end(),
                   [](const auto& d) { return message_type(d.bytes) == MessageType::kInitiation; });
  ASSERT_NE(initiation, out.datagrams.end());
  Output answer;
  b.protocol.on_datagram(initiation->bytes, a.at, now, wall(), 0, answer);
  EXPECT_EQ(pb->current, first_b);  // until the initiator uses the new one
  const auto next = pb->next;
  ASSERT_NE(next, nullptr);
  Output confirm;
  a.protocol.on_datagram(answer.datagrams.at(0).bytes, b.at, now, wall(), 0, confirm);
  EXPECT_NE(pa->current, first_a);
  EXPECT_EQ(pa->previous, first_a);
  b.protocol.on_datagram(confirm.datagrams.at(0).bytes, a.at, now, wall(), 0, answer);
  EXPECT_EQ(pb->current, next);
  EXPECT_EQ(pb->previous, first_b);
  EXPECT_EQ(pb->next, nullptr);
}

TEST_F(World, Item60_HandshakesAreMarkedAf41AndDataOnlyWithTheInnerEcn) {
  constexpr std::uint8_t kAf41 = 0x88;
  auto packet = ipv4("10.1.0.1", "10.2.0.1", 64);
  packet[1] = 0xb9;  // EF, ECT(1)
  Output out;
  (void)a.protocol.encrypt(packet, now, wall(), out);
  ASSERT_EQ(message_type(out.datagrams.at(0).bytes), MessageType::kInitiation);
  EXPECT_EQ(out.datagrams[0].tos, kAf41);
  Output answer;
  b.protocol.on_datagram(out.datagrams[0].bytes, a.at, now, wall(), 0, answer);
  EXPECT_EQ(answer.datagrams.at(0).tos, kAf41);
  Output data;
  a.protocol.on_datagram(answer.datagrams[0].bytes, b.at, now, wall(), 0, data);
  ASSERT_EQ(message_type(data.datagrams.at(0).bytes), MessageType::kData);
  EXPECT_EQ(data.datagrams[0].tos, 1);
}

TEST_F(World, Item43And44_InitiationsAreRetriedEveryFiveSecondsFor90SecondsAndThenGivenUp) {
  loss = 1;
  (void)a_to_b();
  run(seconds(200));
  const auto tries = count(MessageType::kInitiation);
  EXPECT_GE(tries, 18U);
  EXPECT_LE(tries, 20U);
  EXPECT_TRUE(pa->staged.empty());
  for (std::size_t i = 1; i < seen.size(); ++i) {
    const auto gap = seen[i].at - seen[i - 1].at;
    EXPECT_GE(gap, kRekeyTimeout);
    EXPECT_LE(gap, kRekeyTimeout + milliseconds(334));
  }
  loss = 0;
  EXPECT_EQ(a_to_b(), SendVerdict::kStage);  // item 44: new data starts again
  run(seconds(1));
  EXPECT_EQ(b.packets.size(), 1U);
}

TEST_F(World, Item39_TheInitiatorRekeysBySendingAfterTwoMinutesWithoutLosingAPacket) {
  for (int i = 0; i < 400; ++i) {
    (void)a_to_b(static_cast<std::uint8_t>(i));
    run(seconds(1));
  }
  EXPECT_EQ(b.packets.size(), 400U);
  EXPECT_EQ(count(MessageType::kInitiation, &a), 4U);  // at 0, 120, 240 and 360 s
  EXPECT_EQ(count(MessageType::kInitiation, &b), 0U);
}

TEST_F(World, Item40_TheInitiatorRekeysByReceivingAt165Seconds) {
  (void)a_to_b();
  run(seconds(1));
  const auto before = seen.size();
  for (int i = 0; i < 170; ++i) {
    (void)b_to_a(static_cast<std::uint8_t>(i));
    run(seconds(1));
  }
  EXPECT_EQ(a.packets.size(), 170U);
  // a's own passive keepalives count as sends and rekey it at 120 s, so item 39 comes first.
  EXPECT_EQ(count(MessageType::kInitiation, &a, before), 1U);
}

TEST_F(World, Item41And42_OldKeysNeitherSendNorReceiveAndAreWipedAfterThreeLifetimes) {
  (void)a_to_b();
  run(seconds(1));
  auto keypair = pb->current;
  const auto index = keypair->keys.local_index;
  EXPECT_NE(b.protocol.grant_open(index, now), nullptr);
  loss = 1;
  run(kRejectAfterTime);
  EXPECT_EQ(b.protocol.grant_open(index, now), nullptr);
  EXPECT_EQ(b_to_a(), SendVerdict::kStage);
  run(kRejectAfterTime * 3);
  EXPECT_EQ(pb->current, nullptr);
  EXPECT_EQ(pb->previous, nullptr);
}

TEST_F(World, Item45_SilenceAfterSendingStartsANewHandshake) {
  (void)a_to_b();
  run(seconds(12));  // past the passive keepalive that answers the first packet
  const auto before = seen.size();
  loss = 1;
  (void)a_to_b();
  const auto sent = now;
  run(seconds(16));
  ASSERT_EQ(count(MessageType::kInitiation, &a, before), 1U);
  const auto at = std::find_if(seen.begin() + static_cast<std::ptrdiff_t>(before), seen.end(),
                               [](const auto& s) { return s.bytes[0] == 1; })
                      ->at;
  EXPECT_GE(at - sent, seconds(15));
  EXPECT_LE(at - sent, seconds(15) + milliseconds(334));
}

TEST_F(World, Item46_APassiveKeepaliveAnswersDataAndKeepalivesAreNotAnswered) {
  (void)a_to_b();
  run(seconds(1));
  const auto before = seen.size();
  run(seconds(120));
  EXPECT_EQ(count(MessageType::kData, &b, before), 1U);
  EXPECT_EQ(count(MessageType::kData, &a, before), 0U);
}

TEST_F(World, Item48_PersistentKeepalivesAreResetByAnyTrafficAndStartAtOnce) {
  (void)a_to_b();
  run(seconds(60));
  auto before = seen.size();
  a.protocol.set_keepalive(*pa, 5, now);
  run(seconds(26));
  EXPECT_EQ(count(MessageType::kData, &a, before), 6U);  // at once, then each 5 s
  before = seen.size();
  for (int i = 0; i < 20; ++i) {
    (void)a_to_b();
    run(seconds(1));
  }
  EXPECT_EQ(count(MessageType::kData, &a, before), 20U);
}

TEST_F(World, Item49_CountersCountWholeMessages) {
  (void)a_to_b();
  run(seconds(1));
  // one initiation and one data message of 64 bytes + 32; one response
  EXPECT_EQ(pa->tx_bytes, 148U + 96U);
  EXPECT_EQ(pb->rx_bytes, 148U + 96U);
  EXPECT_EQ(pb->tx_bytes, 92U);
  EXPECT_EQ(pa->rx_bytes, 92U);
  EXPECT_NE(pa->last_handshake, WallTime{});
  EXPECT_NE(pb->last_handshake, WallTime{});
}

TEST_F(World, Item22_InitiationsOfOnePeerComeAtMostEvery20Milliseconds) {
  const auto key = b.private_key.public_key();
  Handshake handshake({a.private_key, a.private_key.public_key()}, key, {});
  Macs macs(key);
  int answered = 0;
  for (int i = 0; i < 100; ++i) {
    auto message = *handshake.create_initiation(1, wall() + seconds(i), a.random);
    macs.sign(message, now);
    Output out;
    b.protocol.on_datagram(message, a.at, now, wall(), 0, out);
    answered += static_cast<int>(out.datagrams.size());
    now += milliseconds(5);
  }
  EXPECT_EQ(answered, 25);
}

TEST_F(World, Item26_ADuplicatedDataMessageIsDeliveredOnce) {
  duplicate = 1;
  for (int i = 0; i < 20; ++i) {
    (void)a_to_b(static_cast<std::uint8_t>(i));
    run(milliseconds(100));
  }
  EXPECT_EQ(b.packets.size(), 20U);
}

TEST_F(World, Item55_ASourceThatBelongsToAnotherPeerIsDropped) {
  SeededRandom random(3);
  auto* other = b.protocol.add_peer(Key::generate_private(random).public_key());
  (void)a_to_b();
  run(seconds(1));
  ASSERT_EQ(b.packets.size(), 1U);
  b.protocol.add_allowed_ip(*other, *Prefix::parse("10.1.0.1/32"));  // inside a's own prefix
  (void)a_to_b();
  (void)send(a, ipv4("10.1.0.2", "10.2.0.1", 64));
  (void)send(a, ipv4("10.3.0.2", "10.2.0.1", 64));
  run(seconds(1));
  EXPECT_EQ(b.packets.size(), 2U);
}

TEST_F(World, Item56_NoRouteAndNoEndpointAreToldApart) {
  EXPECT_EQ(send(a, ipv4("10.1.0.1", "10.9.0.1", 64)), SendVerdict::kNoPeer);
  EXPECT_EQ(b_to_a(), SendVerdict::kNoEndpoint);
}

TEST_F(World, Item54And58_PaddingIsAddedToTheMtuAndCutOff) {
  a.protocol.set_mtu(1300);
  (void)send(a, ipv4("10.1.0.1", "10.2.0.1", 61));
  (void)send(a, ipv4("10.1.0.1", "10.2.0.1", 1299));
  (void)send(a, ipv4("10.1.0.1", "10.2.0.1", 1300));
  run(seconds(1));
  ASSERT_EQ(b.packets.size(), 3U);
  EXPECT_EQ(b.packets[0].size(), 61U);
  EXPECT_EQ(b.packets[1].size(), 1299U);
  EXPECT_EQ(b.packets[2].size(), 1300U);
  std::vector<std::size_t> sizes;
  for (const auto& s : seen) {
    if (s.bytes[0] == 4) sizes.push_back(s.bytes.size());
  }
  EXPECT_EQ(sizes, (std::vector<std::size_t>{64 + 32, 1300 + 32, 1300 + 32}));
}

TEST_F(World, Item59_TheNewestAuthenticatedSourceIsThePeer) {
  (void)a_to_b();
  run(seconds(1));
  a.at.remote = *Endpoint::parse("[2001:db8::7]:777");
  (void)a_to_b();
  run(seconds(1));
  EXPECT_EQ(pb->path->remote, a.at.remote);
  (void)b_to_a(3);
  run(seconds(1));
  ASSERT_FALSE(a.packets.empty());
  // A forged data message does not move it.
  std::vector<std::uint8_t> forged(48, 0);
  forged[0] = 4;
  store_le(forged, 4, pb->current->keys.local_index);
  Output out;
  b.protocol.on_datagram(forged, {*Endpoint::parse("203.0.113.1:1"), {}, 0}, now, wall(), 0, out);
  EXPECT_EQ(pb->path->remote, a.at.remote);
  EXPECT_TRUE(out.datagrams.empty());
}

// An attacker that recorded an initiation may send it again after a restart, from any address.
TEST_F(World, Item59_AReplayedInitiationMovesNoPeer) {
  (void)a_to_b();
  run(seconds(1));
  const auto recorded =
      std::find_if(seen.begin(), seen.end(), [&](const auto& s) {
        return s.from == &a && s.bytes[0] == static_cast<std::uint8_t>(MessageType::kInitiation);
      })->bytes;
  // The restart: earlier timestamps are forgotten.
  b.protocol.remove_peer(a.private_key.public_key());
  pb = b.protocol.add_peer(a.private_key.public_key());
  b.protocol.add_allowed_ip(*pb, *Prefix::parse("10.1.0.0/16"));
  b.protocol.set_endpoint(*pb, a.at.remote);
  const Path stranger{*Endpoint::parse("198.51.100.66:666"), std::nullopt, 0};
  Output out;
  b.protocol.on_datagram(recorded, stranger, now, wall(), 0, out);
  for (const auto& datagram : out.datagrams) EXPECT_EQ(datagram.bytes.size(), 92U);
  EXPECT_EQ(pb->path->remote, a.at.remote);
  a.packets.clear();
  // The response counts as a handshake of ours, so the next one may follow after 5 s.
  for (int second = 0; second < 7; ++second) {
    (void)b_to_a(7);
    run(seconds(1));
  }
  ASSERT_FALSE(a.packets.empty());
  EXPECT_EQ(a.packets.back().back(), 7);
  EXPECT_EQ(pb->path->remote, a.at.remote);
}

TEST_F(World, Items28And35_UnderLoadStrangersGetACookieAndNothingElse) {
  Output first;
  (void)a.protocol.encrypt(ipv4("10.1.0.1", "10.2.0.1", 64), now, wall(), first);
  Output out;
  b.protocol.on_datagram(first.datagrams.at(0).bytes, a.at, now, wall(), 600, out);
  ASSERT_EQ(out.datagrams.size(), 1U);
  ASSERT_EQ(out.datagrams[0].bytes[0], 3);
  EXPECT_EQ(pb->next, nullptr);
  Output none;
  a.protocol.on_datagram(out.datagrams[0].bytes, b.at, now, wall(), 0, none);
  EXPECT_TRUE(none.datagrams.empty());  // item 31: no early retransmission
  now += seconds(6);
  Output retry;
  a.protocol.tick(now, wall(), retry);
  ASSERT_EQ(retry.datagrams.size(), 1U);
  Output accepted;
  b.protocol.on_datagram(retry.datagrams[0].bytes, a.at, now, wall(), 600, accepted);
  ASSERT_EQ(accepted.datagrams.size(), 1U);
  EXPECT_EQ(accepted.datagrams[0].bytes[0], 2);
}

TEST_F(World, Item7_GarbageGetsNoAnswer) {
  std::mt19937 random(1);
  for (int i = 0; i < 20'000; ++i) {
    std::vector<std::uint8_t> bytes(random() % 200);
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
    if (bytes.size() > 4) {
      bytes[0] = static_cast<std::uint8_t>(1 + random() % 4);
      bytes[1] = bytes[2] = bytes[3] = 0;
    }
    if (random() % 2 == 0) bytes.resize(std::array{148U, 92U, 64U, 48U}[random() % 4]);
    Output out;
    b.protocol.on_datagram(bytes, a.at, now, wall(), random() % 2 == 0 ? 0 : 1000, out);
    ASSERT_TRUE(out.datagrams.empty());
    ASSERT_TRUE(out.packets.empty());
  }
}

TEST_F(World, Item17_OnesOwnKeyIsNoPeer) {
  EXPECT_EQ(a.protocol.add_peer(a.private_key.public_key()), nullptr);
  SeededRandom random(5);
  const auto key = Key::generate_private(random);
  ASSERT_NE(a.protocol.add_peer(key.public_key()), nullptr);
  a.protocol.set_private_key(key);
  EXPECT_EQ(a.protocol.find_peer(key.public_key()), nullptr);
}

TEST_F(World, Item18And19_KeyAndPskChanges) {
  (void)a_to_b();
  run(seconds(1));
  SeededRandom random(5);
  const auto psk = Key::generate_preshared(random);
  a.protocol.set_preshared(*pa, psk);
  b.protocol.set_preshared(*pb, psk);
  EXPECT_EQ(a_to_b(), SendVerdict::kSend);  // the live session stays
  run(seconds(130));
  (void)a_to_b();
  run(seconds(1));
  EXPECT_EQ(count(MessageType::kInitiation), 2U);
  EXPECT_EQ(b.packets.size(), 3U);
  a.protocol.set_private_key(Key::generate_private(random));
  EXPECT_EQ(pa->current, nullptr);
  b.protocol.add_allowed_ip(*b.protocol.add_peer(a.protocol.identity()->public_key),
                            *Prefix::parse("10.1.0.0/16"));
  b.protocol.set_preshared(*b.protocol.find_peer(a.protocol.identity()->public_key), psk);
  (void)a_to_b();
  run(seconds(1));
  EXPECT_EQ(b.packets.size(), 4U);
}

TEST_F(World, RemovingAPeerForgetsItsSessionsAlsoForWorkersThatHoldThem) {
  (void)a_to_b();
  run(seconds(1));
  const auto held = pb->current;
  b.protocol.remove_peer(a.private_key.public_key());
  EXPECT_EQ(held->peer, nullptr);
  std::array<std::uint8_t, 64> bytes{};
  Opened one{5, 96, bytes, true};
  Output out;
  b.protocol.commit_open(held, {&one, 1}, a.at, now, wall(), out);
  EXPECT_TRUE(out.datagrams.empty());
  (void)a_to_b();
  run(seconds(30));
  EXPECT_EQ(b.packets.size(), 1U);
}

// A model test: a day of traffic in both directions over a network that loses, reorders and
// duplicates. No packet is delivered twice or changed, loss stays near the network's own, and both
// ends keep their session.
TEST_F(World, ADayOfTrafficOverABadNetwork) {
  loss = 0.05;
  duplicate = 0.05;
  jitter_ms = 300;
  b.protocol.set_endpoint(*pb, a.at.remote);
  std::size_t sent = 0;
  std::map<std::vector<std::uint8_t>, int> copies;
  for (int i = 0; i < 24 * 360; ++i) {
    auto packet = ipv4("10.1.0.1", "10.2.0.1", 64);
    auto back = ipv4("10.2.0.1", "10.1.0.1", 64);
    std::memcpy(packet.data() + 40, &i, sizeof i);
    std::memcpy(back.data() + 40, &i, sizeof i);
    (void)send(a, packet);
    if (i % 3 == 0) (void)send(b, back);
    sent += i % 3 == 0 ? 2 : 1;
    run(seconds(10));
  }
  run(seconds(10));
  for (const auto* side : {&a, &b}) {
    for (const auto& packet : side->packets) ++copies[packet];
  }
  for (const auto& [packet, n] : copies) ASSERT_EQ(n, 1);
  EXPECT_GT(static_cast<double>(copies.size()), static_cast<double>(sent) * 0.92);
  EXPECT_LT(count(MessageType::kInitiation), 3000U);
}

TEST_F(World, Item16_IndicesAreRandomAndNeverUsedTwiceAtATime) {
  std::set<std::uint32_t> indices;
  std::uint32_t last = 0;
  int upwards = 0;
  for (int i = 0; i < 200; ++i) {
    auto* peer = a.protocol.add_peer(Key::generate_private(a.random).public_key());
    a.protocol.set_endpoint(*peer, b.at.remote);
    const auto net = "10.3." + std::to_string(i) + ".0/24";
    a.protocol.add_allowed_ip(*peer, *Prefix::parse(net));
    Output out;
    const auto to = "10.3." + std::to_string(i) + ".1";
    (void)a.protocol.encrypt(ipv4("10.1.0.1", to.c_str(), 64), now, wall(), out);
    ASSERT_EQ(out.datagrams.size(), 1U);
    const auto index = load_le<std::uint32_t>(out.datagrams[0].bytes, 4);
    EXPECT_TRUE(a.protocol.index_tag().is_ours(
        index));  // otherwise the socket filter would drop the answer
    indices.insert(index);
    upwards += index > last ? 1 : 0;
    last = index;
  }
  EXPECT_EQ(indices.size(), 200U);
  EXPECT_GT(upwards, 60);  // not a counter in either direction
  EXPECT_LT(upwards, 140);
}

TEST_F(World, Item14_APrivateKeyIsClampedWhenItIsSet) {
  std::array<std::uint8_t, 32> raw{};
  raw.fill(0xff);
  a.protocol.set_private_key(Key(raw));
  const auto held = a.protocol.identity()->private_key.bytes();
  EXPECT_EQ(held[0], 0xf8);
  EXPECT_EQ(held[31], 0x7f);
  EXPECT_EQ(a.protocol.identity()->public_key, Key(raw).public_key());
}

TEST_F(World, Item36_LoadThatIsOverIsForgotten) {
  const auto initiation = [&](int n) {
    Handshake handshake({a.private_key, a.private_key.public_key()}, b.private_key.public_key(),
                        {});
    Macs macs(b.private_key.public_key());
    auto message = *handshake.create_initiation(1, wall() + seconds(n), a.random);
    macs.sign(message, now);
    return message;
  };
  const auto answer = [&](int n, std::size_t queued) {
    Output out;
    b.protocol.on_datagram(initiation(n), a.at, now, wall(), queued, out);
    return out.datagrams.empty() ? 0 : out.datagrams[0].bytes[0];
  };
  EXPECT_EQ(answer(1, 600), 3);  // a cookie
  EXPECT_EQ(answer(2, 0), 3);    // still
  now += milliseconds(1100);
  EXPECT_EQ(answer(3, 0), 2);
  for (int i = 4; i < 300; ++i) {  // any number of handshakes alone is no load
    now += milliseconds(25);
    EXPECT_EQ(answer(i, 0), 2);
  }
}

TEST_F(World, Item47_ThePassiveKeepaliveCountsFromTheFirstPacketReceived) {
  (void)a_to_b();
  run(seconds(30));
  const auto before = seen.size();
  const auto start = now;
  for (int i = 0; i < 9; ++i) {
    (void)a_to_b();
    run(seconds(1));
  }
  run(seconds(2));
  ASSERT_EQ(count(MessageType::kData, &b, before), 1U);
  const auto keepalive = std::find_if(seen.begin() + static_cast<std::ptrdiff_t>(before),
                                      seen.end(), [&](const auto& s) { return s.from == &b; });
  EXPECT_GE(keepalive->at - start, kKeepaliveTimeout);
  EXPECT_LE(keepalive->at - start, kKeepaliveTimeout + milliseconds(20));
}

TEST_F(World, Item50_HandshakesAreSentOnceInFiveSecondsAndAResponseCounts) {
  loss = 1;
  for (int i = 0; i < 40; ++i) {
    (void)a_to_b();
    run(milliseconds(100));
  }
  EXPECT_EQ(count(MessageType::kInitiation, &a), 1U);
  loss = 0;
  run(seconds(10));
  ASSERT_NE(pb->next == nullptr ? pb->current : pb->next, nullptr);
  const auto before = seen.size();
  b.protocol.set_private_key(Key::generate_private(b.random));  // the session is gone ...
  b.protocol.set_private_key(b.private_key);
  pb->handshake_sent = now;  // ... but an answer was sent just now
  (void)b_to_a();
  run(seconds(4));
  EXPECT_EQ(count(MessageType::kInitiation, &b, before), 0U);
}

TEST_F(World, Item51_AClockThatStandsStillOrStepsBackHarmsNothing) {
  (void)a_to_b();
  run(seconds(1));
  const auto then = now;
  for (int i = 0; i < 50; ++i) {
    now = then - seconds(i % 3);
    EXPECT_EQ(a_to_b(), SendVerdict::kSend);
    Output out;
    a.protocol.tick(now, wall(), out);
    b.protocol.tick(now, wall(), out);
    EXPECT_TRUE(out.datagrams.empty());
  }
}

TEST_F(World, Item51_AWallClockThatJumpsByHoursStopsNoRekeying) {
  for (const auto step : {Duration(hours(5)), Duration(hours(-5)), Duration{}}) {
    wall_step = step;
    const auto before = seen.size();
    for (int i = 0; i < 400; ++i) {
      // The first packet is staged; after that there is always a session.
      EXPECT_EQ(a_to_b() == SendVerdict::kSend, i > 0 || before > 0) << i << " s";
      run(seconds(1));
    }
    EXPECT_GE(count(MessageType::kInitiation, &a, before), 3U) << "every 120 s";
    EXPECT_EQ(count(MessageType::kInitiation, nullptr, before),
              count(MessageType::kResponse, nullptr, before))
        << "each is accepted at once";
  }
}

TEST_F(World, Item52_TheResponderDoesNotRekeyByAge) {
  (void)a_to_b();
  run(seconds(1));
  const auto before = seen.size();
  loss = 0;
  for (int i = 0; i < 170; ++i) {
    // Only b sends; a's messages are lost.
    Output out;
    (void)b.protocol.encrypt(ipv4("10.2.0.1", "10.1.0.1", 64), now, wall(), out);
    for (const auto& datagram : out.datagrams) {
      EXPECT_NE(datagram.bytes[0], 1) << "an initiation after " << i << " s";
      seen.push_back({&b, datagram.bytes, now});
      Output answer;
      a.protocol.on_datagram(datagram.bytes, b.at, now, wall(), 0, answer);
    }
    now += seconds(1);
    pb->timers.new_handshake.reset();  // item 45 has a test of its own
  }
  EXPECT_EQ(count(MessageType::kInitiation, &b, before), 0U);
}

TEST_F(World, Item53_AKeepaliveIsNoPacketButIsHeard) {
  a.protocol.set_keepalive(*pa, 5, now);
  run(seconds(1));
  EXPECT_TRUE(b.packets.empty());
  EXPECT_EQ(pb->rx_bytes, 148U + 32U);
  EXPECT_NE(pb->current, nullptr);  // it confirmed the session
}

TEST(Ecn, Item60_CongestionOutsideIsHandedOn) {
  using packets::make;
  for (const bool v6 : {false, true}) {
    for (unsigned inner = 0; inner < 4; ++inner) {
      for (std::uint8_t outer = 0; outer < 4; ++outer) {
        auto packet = make({.v6 = v6, .tcp = false}, 40);
        auto& field = packet[1];
        field = static_cast<std::uint8_t>(v6 ? inner << 4U : inner);
        packets::finish(packet);
        const bool kept = ecn_decapsulate(packet, outer);
        EXPECT_EQ(kept, outer != 3 || inner != 0);  // RFC 6040, figure 4
        if (!kept) continue;
        EXPECT_EQ(v6 ? field >> 4U & 3U : field & 3U, outer == 3 ? 3U : inner);
        EXPECT_TRUE(packets::checksums_right(packet));
      }
    }
  }
}

TEST(Icmp, Item56_UnreachableIsAWellFormedAnswer) {
  for (const bool v6 : {false, true}) {
    const auto packet = packets::make({.v6 = v6, .tcp = false}, 40);
    const auto answer = unreachable_for(packet);
    ASSERT_GE(answer.size(), v6 ? 88U : 56U);
    const auto ip = v6 ? 40U : 20U;
    EXPECT_EQ(answer[ip], v6 ? 1 : 3);
    EXPECT_EQ(answer[ip + 1], v6 ? 3 : 1);
    const auto from = v6 ? Bytes(answer).subspan(24, 16) : Bytes(answer).subspan(16, 4);
    const auto source = v6 ? Bytes(packet).subspan(8, 16) : Bytes(packet).subspan(12, 4);
    EXPECT_TRUE(std::equal(from.begin(), from.end(), source.begin()));  // to the sender
    const auto pseudo = v6 ? packets::sum16(Bytes(answer).subspan(8, 32),
                                            58U + static_cast<unsigned>(answer.size() - 40))
                           : 0U;
    EXPECT_EQ(packets::sum16(Bytes(answer).subspan(ip), pseudo), 0xffffU);
    EXPECT_TRUE(unreachable_for(answer).empty());  // errors are not answered
  }
}

}  // namespace
}  // namespace cw::tunnel::engine
