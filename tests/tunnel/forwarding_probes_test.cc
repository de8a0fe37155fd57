// Probes through a gateway on real sockets, and their datagram.
#include <gtest/gtest.h>

#include <set>

#include "base/event_loop.h"
#include "tunnel/probe/forwarding_address.h"
#include "tunnel/probe/forwarding_prober.h"

namespace cw::tunnel {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

ProbeKey key_of(std::uint8_t byte) {
  ProbeKey key{};
  key.fill(byte);
  return key;
}

TEST(Echo, AReplyIsTheRequestAndNothingElseIsOne) {
  const auto key = key_of(1);
  auto packet = echo_request({7, 9}, 1392, key);
  EXPECT_EQ(packet.size(), 1392U);
  EXPECT_FALSE(parse_echo_reply(packet, key)) << "a request is no reply";
  ASSERT_TRUE(turn_into_reply(packet));
  EXPECT_FALSE(turn_into_reply(packet)) << "a reply is not answered";
  const auto echo = parse_echo_reply(packet, key);
  ASSERT_TRUE(echo);
  EXPECT_EQ(*echo, (Echo{7, 9}));
  EXPECT_FALSE(parse_echo_reply(packet, key_of(2)));
  for (const auto at : {0U, 3U, 5U, 8U, 16U, 24U, 39U, 1391U}) {
    auto bad = packet;
    bad[at] ^= std::byte{1};
    EXPECT_FALSE(parse_echo_reply(bad, key)) << at;
  }
  for (const auto size : {0U, 4U, 39U, 1391U}) {
    EXPECT_FALSE(parse_echo_reply(std::span(packet).first(size), key)) << size;
  }
}

TEST(Echo, SizesAreKeptWithinBounds) {
  EXPECT_EQ(echo_request({1, 2}, 0, key_of(1)).size(), kEchoHeader);
  EXPECT_EQ(echo_request({1, 2}, 100000, key_of(1)).size(), kMaxEcho);
}

TEST(ForwardingAddress, EachPairHasOneOfItsOwnInBothFamilies) {
  SystemRandom random;
  const auto a = Key::generate_private(random).public_key();
  const auto b = Key::generate_private(random).public_key();
  for (const auto family : {Family::kV4, Family::kV6}) {
    const std::set<IpAddress> all{probe_address(a, family), probe_address(b, family),
                                  forwarding_address(a, b, family),
                                  forwarding_address(b, a, family)};
    EXPECT_EQ(all.size(), 4U);
    const auto range = *Prefix::parse(family == Family::kV4 ? "240.0.0.0/4" : "fd00::/8");
    for (const auto& address : all) EXPECT_TRUE(range.contains(address)) << address.to_string();
  }
  EXPECT_EQ(probe_address(a, Family::kV6), control_address(a));
}

// The echo server is at the through address itself, where the gateway would lead.
TEST(ForwardingProber, SeesThePathComeAndFallSilent) {
  EventLoop loop;
  SystemRandom random;
  const auto here = *IpAddress::parse("127.0.0.1");
  const auto there = *IpAddress::parse("127.0.0.2");
  ForwardingConfig config;
  config.local = {{Family::kV4, here}};
  config.port = 24795;
  unsigned changes = 0;
  auto opened = ForwardingProber::open(loop, random, config, [&] { ++changes; });
  ASSERT_TRUE(opened) << opened.error().text;
  auto& prober = **opened;
  const PathKey path{1, "west", Family::kV4};
  auto server = EchoServer::open(loop, {there, config.port}, {});
  ASSERT_TRUE(server) << server.error().text;
  prober.set_paths({{path, {there}}, {{1, "west", Family::kV6}, {control_address({})}}},
                   milliseconds(200));
  const auto wait = [&](PathVerdict verdict) {
    const auto end = loop.after(seconds(10), [&] { loop.stop(); });
    const auto look = loop.every(milliseconds(5), [&] {
      if (prober.views().at(path).verdict == verdict) loop.stop();
    });
    loop.run();
    return prober.views().at(path).verdict;
  };
  EXPECT_EQ(wait(PathVerdict::kForwards), PathVerdict::kForwards);
  EXPECT_EQ(prober.views().size(), 1U) << "a family without an address is not probed";
  EXPECT_FALSE(prober.views().at(path).floor);
  server->reset();
  EXPECT_EQ(wait(PathVerdict::kSilent), PathVerdict::kSilent);
  EXPECT_EQ(changes, 2U);
  prober.set_paths({}, milliseconds(200));
  EXPECT_TRUE(prober.views().empty());
}

TEST(ForwardingProber, ThePathsOfTheOwnGatewayStartFromItsAddresses) {
  EventLoop loop;
  SystemRandom random;
  ForwardingConfig config;
  config.port = 24796;
  config.own_gateway = 0;
  config.own = {{Family::kV4, *IpAddress::parse("127.0.0.3")}};
  auto opened = ForwardingProber::open(loop, random, config, [&] { loop.stop(); });
  ASSERT_TRUE(opened) << opened.error().text;
  // The gateway's own server already has the port.
  const auto busy = EchoServer::open(loop, {*IpAddress::parse("127.0.0.3"), config.port}, {});
  ASSERT_TRUE(busy) << busy.error().text;
  const auto there = *IpAddress::parse("127.0.0.4");
  const auto server = EchoServer::open(loop, {there, config.port}, {});
  ASSERT_TRUE(server) << server.error().text;
  const PathKey own{0, "west", Family::kV4};
  (*opened)->set_paths({{own, {there}}, {{1, "west", Family::kV4}, {there}}}, milliseconds(50));
  const auto end = loop.after(seconds(10), [&] { loop.stop(); });
  loop.run();
  EXPECT_EQ((*opened)->views().at(own).verdict, PathVerdict::kForwards);
  EXPECT_EQ((*opened)->views().size(), 1U) << "others have no socket";
}

}  // namespace
}  // namespace cw::tunnel
