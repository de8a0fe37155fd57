// Cutting and joining super-packets, against packets and checksums made independently.
#include "tunnel/engine/vnet.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <random>

#include "tests/tunnel/engine/packets.h"

namespace cw::tunnel::engine {
namespace {

using packets::make;
using packets::Packet;
using packets::Shape;

// One large packet with a partial checksum, as the kernel gives it.
VnetHeader super_header(Packet& packet, const Shape& shape, std::uint16_t gso) {
  const std::uint16_t ip = shape.v6 ? 40 : 20;
  const std::uint16_t offset = shape.tcp ? 16 : 6;
  packets::set(packet, ip + offset, 2, packets::pseudo(packet));
  const auto type = !shape.tcp ? kGsoUdpL4 : shape.v6 ? kGsoTcpV6 : kGsoTcpV4;
  return {kVnetNeedsCsum, type, 1 /* never trusted */, gso, ip, offset};
}

std::vector<Packet> cut(const VnetHeader& header, const Packet& packet, std::size_t stride = 2048,
                        std::size_t most = 1024) {
  std::vector<std::uint8_t> out(stride * most);
  std::vector<std::uint16_t> lengths(most);
  const auto count = split(header, packet, out, stride, lengths);
  std::vector<Packet> segments;
  for (std::size_t i = 0; count && i < *count; ++i) {
    const auto* at = out.data() + i * stride;
    segments.emplace_back(at, at + lengths[i]);
  }
  return segments;
}

class Split : public testing::TestWithParam<std::tuple<bool, bool, std::size_t>> {};

TEST_P(Split, GivesWholePacketsWithRightChecksums) {
  const auto [v6, tcp, size] = GetParam();
  Shape shape{.v6 = v6, .tcp = tcp, .seq = 0xfffff000, .flags = 0x19, .id = 65530};  // FIN|PSH|ACK
  auto big = make(shape, size);
  const Packet payload(big.end() - static_cast<std::ptrdiff_t>(size), big.end());
  const std::uint16_t gso = 1300;
  const auto header = super_header(big, shape, gso);
  const auto segments = cut(header, big);
  ASSERT_EQ(segments.size(), (size + gso - 1) / gso);
  const auto ip = packets::ip_size(big);
  Packet got;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const auto& s = segments[i];
    ASSERT_TRUE(packets::checksums_right(s)) << i;
    const auto heads = ip + (tcp ? 32U : 8U);
    got.insert(got.end(), s.begin() + static_cast<std::ptrdiff_t>(heads), s.end());
    if (v6) {
      EXPECT_EQ(packets::get(s, 4, 2), s.size() - 40);
    } else {
      EXPECT_EQ(packets::get(s, 2, 2), s.size());
      EXPECT_EQ(packets::get(s, 4, 2), (65530 + i) & 0xffff);
    }
    if (tcp) {
      EXPECT_EQ(packets::get(s, ip + 4, 4), static_cast<std::uint32_t>(0xfffff000 + i * gso));
      EXPECT_EQ(s[ip + 13], i + 1 == segments.size() ? 0x19 : 0x10);
    } else {
      EXPECT_EQ(packets::get(s, ip + 4, 2), s.size() - ip);
    }
  }
  EXPECT_EQ(got, payload);
}

INSTANTIATE_TEST_SUITE_P(AllKinds, Split,
                         testing::Combine(testing::Bool(), testing::Bool(),
                                          testing::Values(1301, 2600, 14'001, 65'000)));

TEST(SplitOnePacket, FinishesAChecksumThatWasLeftToUs) {
  for (const bool v6 : {false, true}) {
    for (const bool tcp : {false, true}) {
      const Shape shape{.v6 = v6, .tcp = tcp};
      for (const std::size_t size : {0UL, 1UL, 7UL, 31UL, 32UL, 33UL, 1000UL}) {
        auto packet = make(shape, size);
        const auto want = packet;
        auto header = super_header(packet, shape, 0);
        header.gso_type = kGsoNone;
        EXPECT_EQ(cut(header, packet), std::vector<Packet>{want});
      }
    }
  }
}

TEST(SplitOnePacket, LeavesAFinishedOneAlone) {
  const auto packet = make({.tcp = false}, 77);
  EXPECT_EQ(cut({}, packet), std::vector<Packet>{packet});
}

TEST(SplitUdp, NeverWritesTheChecksumThatMeansNone) {
  // For any payload at least one of 65,536 sums is zero.
  const Shape shape{.tcp = false};
  bool seen = false;
  for (unsigned word = 0; word <= 0xffff; ++word) {
    auto packet = make(shape, 2);
    packets::set(packet, 28, 2, word);
    packets::finish(packet);
    const auto want = packet;
    auto header = super_header(packet, shape, 0);
    header.gso_type = kGsoNone;
    std::vector<std::uint8_t> out(64);
    std::uint16_t length = 0;
    ASSERT_TRUE(split(header, packet, out, 64, {&length, 1}));
    ASSERT_TRUE(std::equal(want.begin(), want.end(), out.begin()));
    seen = seen || packets::get(want, 26, 2) == 0xffff;
  }
  EXPECT_TRUE(seen);
}

TEST(SplitTcp, SetsCongestionWindowReducedOnlyOnTheFirst) {
  const Shape shape{.flags = 0x90};  // CWR|ACK
  auto big = make(shape, 3000);
  auto header = super_header(big, shape, 1000);
  header.gso_type |= kGsoEcn;
  const auto segments = cut(header, big);
  ASSERT_EQ(segments.size(), 3U);
  EXPECT_EQ(segments[0][33], 0x90);
  EXPECT_EQ(segments[1][33], 0x10);
  EXPECT_EQ(segments[2][33], 0x10);
}

TEST(SplitLimits, RefusesWhatDoesNotFitOrMakesNoSense) {
  const Shape shape{};
  auto big = make(shape, 10'000);
  const auto header = super_header(big, shape, 1000);
  std::vector<std::uint8_t> out(64 * 2048);
  std::vector<std::uint16_t> lengths(64);
  EXPECT_EQ(split(header, big, out, 2048, {lengths.data(), 9}).error().code, Errc::kTooLarge);
  EXPECT_EQ(split(header, big, out, 1000, lengths).error().code, Errc::kTooLarge);
  EXPECT_EQ(split(header, big, std::span(out).first(9000), 2048, lengths).error().code,
            Errc::kTooLarge);
  const auto refused = [&](VnetHeader bad) {
    const auto got = split(bad, big, out, 2048, lengths);
    return !got && got.error().code == Errc::kInvalid;
  };
  auto bad = header;
  bad.gso_size = 0;
  EXPECT_TRUE(refused(bad));
  bad = header;
  bad.gso_type = kGsoTcpV6;
  EXPECT_TRUE(refused(bad));
  bad = header;
  bad.csum_start = 19;
  EXPECT_TRUE(refused(bad));
  bad = header;
  bad.csum_start = 60'000;
  EXPECT_TRUE(refused(bad));
  bad = header;
  bad.gso_type = kGsoNone;
  bad.csum_offset = 60'000;
  EXPECT_TRUE(refused(bad));
}

// --- joining ---

struct Written {
  VnetHeader vnet;
  Packet bytes;
  std::size_t pieces = 0;
};

std::vector<Written> join(std::vector<Packet>& input, JoinOptions options = {}) {
  Joiner joiner(options);
  for (auto& packet : input) joiner.add(packet);
  joiner.finish();
  std::vector<Written> out;
  for (const auto& item : joiner.items()) {
    Written w{item.vnet, {}, item.pieces.size()};
    for (const auto& piece : item.pieces) w.bytes.insert(w.bytes.end(), piece.begin(), piece.end());
    EXPECT_EQ(w.bytes.size(), item.length);
    out.push_back(std::move(w));
  }
  return out;
}

std::vector<Packet> run_of(Shape shape, std::size_t count, std::size_t size, std::size_t last) {
  std::vector<Packet> out;
  for (std::size_t i = 0; i < count; ++i) {
    const auto payload = i + 1 == count ? last : size;
    out.push_back(make(shape, payload));
    shape.seq += static_cast<std::uint32_t>(payload);
    shape.id = static_cast<std::uint16_t>(shape.id + 1);
    shape.first = static_cast<std::uint8_t>(shape.first + 3);
  }
  return out;
}

TEST(Join, GathersOneRunIntoOneSuperPacketThatCutsBackToTheSame) {
  for (const bool v6 : {false, true}) {
    for (const bool tcp : {false, true}) {
      auto input = run_of({.v6 = v6, .tcp = tcp}, 40, 1368, 500);
      const auto want = input;
      const auto out = join(input);
      ASSERT_EQ(out.size(), 1U);
      EXPECT_EQ(out[0].vnet.gso_size, 1368);
      EXPECT_EQ(out[0].vnet.flags, kVnetNeedsCsum);
      EXPECT_EQ(out[0].vnet.gso_type, !tcp ? kGsoUdpL4 : v6 ? kGsoTcpV6 : kGsoTcpV4);
      EXPECT_EQ(out[0].vnet.csum_offset, tcp ? 16 : 6);
      EXPECT_EQ(cut(out[0].vnet, out[0].bytes), want);
    }
  }
}

TEST(Join, ShortOrPushedSegmentsEndASuperPacket) {
  Shape shape{};
  std::vector<Packet> input;
  for (const auto& [size, flags] : std::vector<std::pair<std::size_t, std::uint8_t>>{
           {1000, 0x10}, {1000, 0x18}, {1000, 0x10}, {400, 0x10}, {1000, 0x10}}) {
    shape.flags = flags;
    input.push_back(make(shape, size));
    shape.seq += static_cast<std::uint32_t>(size);
    ++shape.id;
  }
  const auto out = join(input);
  ASSERT_EQ(out.size(), 3U);
  EXPECT_EQ(out[0].bytes.size(), 52U + 2000);
  EXPECT_EQ(out[0].bytes[33], 0x18);
  EXPECT_EQ(out[1].bytes.size(), 52U + 1400);
  EXPECT_EQ(out[2].vnet.gso_type, kGsoNone);
}

TEST(Join, NeverPassesAPacketOfTheFlowThatCannotBeJoined) {
  auto input = run_of({}, 3, 1000, 1000);
  auto fin = make({.seq = 3001, .flags = 0x11}, 0);
  auto later = make({.seq = 3001}, 1000);
  input.push_back(fin);
  input.push_back(later);
  const auto out = join(input);
  ASSERT_EQ(out.size(), 3U);
  EXPECT_EQ(out[0].bytes.size(), 52U + 3000);
  EXPECT_EQ(out[1].bytes, fin);
  EXPECT_EQ(out[2].bytes, later);
}

TEST(Join, KeepsApartWhatDiffersInHeaders) {
  const auto differs = [](const std::function<void(Packet&)>& change) {
    auto input = run_of({}, 2, 1000, 1000);
    change(input[1]);
    packets::finish(input[1]);
    return join(input).size() == 2;
  };
  EXPECT_FALSE(differs([](Packet&) {}));
  EXPECT_TRUE(differs([](Packet& p) { p[1] = 1; }));      // ECN
  EXPECT_TRUE(differs([](Packet& p) { p[8] = 63; }));     // TTL
  EXPECT_TRUE(differs([](Packet& p) { p[6] = 0; }));      // DF
  EXPECT_TRUE(differs([](Packet& p) { p[6] = 0x20; }));   // more fragments
  EXPECT_TRUE(differs([](Packet& p) { p[27] ^= 1; }));    // a gap in seq
  EXPECT_TRUE(differs([](Packet& p) { p[31] ^= 1; }));    // ack
  EXPECT_TRUE(differs([](Packet& p) { p[34] ^= 1; }));    // window
  EXPECT_TRUE(differs([](Packet& p) { p[45] ^= 1; }));    // option
  EXPECT_TRUE(differs([](Packet& p) { p[33] = 0x30; }));  // URG
  EXPECT_TRUE(differs([](Packet& p) { p[33] = 0x50; }));  // ECE
  EXPECT_TRUE(differs([](Packet& p) { p[3] ^= 1; }));     // a wrong length
}

TEST(Join, StaysWithinTheKernelsLimits) {
  auto many = run_of({.tcp = false}, 300, 20, 20);
  for (const auto& w : join(many)) EXPECT_LE(w.pieces, 128U);
  auto large = run_of({}, 100, 1400, 1400);
  for (const auto& w : join(large)) EXPECT_LE(w.bytes.size(), 65535U);
}

TEST(Join, EachKindHasASwitch) {
  auto tcp = run_of({}, 4, 1000, 1000);
  EXPECT_EQ(join(tcp, {.tcp = false, .udp = true}).size(), 4U);
  auto udp = run_of({.tcp = false}, 4, 1000, 1000);
  EXPECT_EQ(join(udp, {.tcp = true, .udp = false}).size(), 4U);
}

// Random mixes of flows: the packets of every flow come out complete, unchanged and in order.
TEST(Join, RandomMixesKeepEveryFlowsOrder) {
  std::mt19937 random(11);
  for (int round = 0; round < 300; ++round) {
    std::map<std::uint16_t, Shape> flows;
    std::vector<Packet> input;
    for (int i = 0; i < 120; ++i) {
      const auto port = static_cast<std::uint16_t>(random() % 4);
      auto [it, fresh] = flows.try_emplace(port);
      auto& shape = it->second;
      if (fresh) shape = {.v6 = random() % 2 == 0, .tcp = random() % 2 == 0, .port = port};
      shape.flags = static_cast<std::uint8_t>(random() % 8 == 0 ? 0x18 : 0x10);
      if (random() % 16 == 0) shape.flags = 0x11;
      if (random() % 16 == 0) shape.seq += 100;
      const std::size_t size = random() % 8 == 0 ? random() % 600 : 1000;
      shape.first = static_cast<std::uint8_t>(random());
      input.push_back(make(shape, size));
      shape.seq += static_cast<std::uint32_t>(size);
      ++shape.id;
    }
    std::map<std::uint16_t, std::vector<Packet>> want;
    const auto port_of = [](const Packet& p) {
      return static_cast<std::uint16_t>(packets::get(p, packets::ip_size(p), 2));
    };
    for (const auto& p : input) want[port_of(p)].push_back(p);
    std::map<std::uint16_t, std::vector<Packet>> got;
    for (const auto& w : join(input)) {
      for (auto& p : cut(w.vnet, w.bytes, 2048, 128)) got[port_of(p)].push_back(std::move(p));
    }
    ASSERT_EQ(got, want) << round;
  }
}

TEST(ChecksumSum, AgreesWithTheSimpleOne) {
  std::mt19937 random(3);
  for (int i = 0; i < 20'000; ++i) {
    std::vector<std::uint8_t> bytes(random() % 1600);
    for (auto& b : bytes) b = static_cast<std::uint8_t>(random() % 4 == 0 ? 0xff : random());
    const auto start = static_cast<unsigned>(random() % 0x20000);
    // Zero has two forms. Addition gives 0xffff, except for sums of zeros only.
    ASSERT_EQ(checksum_sum(bytes, start), packets::sum16(bytes, start)) << bytes.size();
  }
}

}  // namespace
}  // namespace cw::tunnel::engine
