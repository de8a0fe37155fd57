// Probers on real sockets: which parties get answers, which claims are taken, and what is reported
// about refused parties.
#include "tunnel/probe/prober.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>

#include "base/event_loop.h"
#include "base/fake/sim_loop.h"
#include "base/unique_fd.h"

namespace cw::tunnel {
namespace {

const GatewayId kGateway{"east", 0};
const NodeName kNode{"n1"};

using std::chrono::milliseconds;
using std::chrono::seconds;

Key private_key(std::uint64_t seed) {
  SeededRandom random(seed);
  return Key::generate_private(random);
}

// A node and a gateway on the loopback device.
struct Ends {
  EventLoop loop;
  SystemRandom random;
  Key node_key = private_key(1);
  Key gateway_key = private_key(2);
  std::map<ProbeParty, Key> askers{{kNode, node_key.public_key()}};
  Endpoint node_at;
  Endpoint gateway_at;
  std::unique_ptr<Prober> node;
  std::unique_ptr<Prober> gateway;
  bool draining = false;
  int changes = 0;
  int replies = 0;
  int strangers = 0;
  ProbeExtra extra;
  ProbeExtra echoed;
  std::vector<std::pair<std::string, bool>> asked;  // the asker, and whether the request was fresh
  std::map<Refusal, int> refused;                   // by the gateway
  std::map<Refusal, int> node_refused;

  ProberHooks gateway_hooks() {
    ProberHooks hooks;
    hooks.answer = [this](const Probe& request, const ProbeAsker& asker, Probe& reply) {
      asked.emplace_back(std::get<NodeName>(asker.party).name, asker.fresh);
      reply.draining = draining;
      reply.clusters = {{"west", true}};
      if (asker.fresh) reply.extra = request.extra;
    };
    hooks.on_refused = [this](Refusal refusal, const IpAddress& from, const std::string&) {
      EXPECT_EQ(from, *IpAddress::parse("::1"));
      ++refused[refusal];
    };
    return hooks;
  }
  ProberHooks node_hooks() {
    ProberHooks hooks;
    hooks.on_change = [this](const GatewayId&) { ++changes; };
    hooks.ask = [this](const GatewayId&, Probe& request) { request.extra = extra; };
    hooks.on_reply = [this](const GatewayId&, const Probe& reply) {
      ++replies;
      echoed = reply.extra;
    };
    hooks.on_stranger = [this](const GatewayId&) { ++strangers; };
    hooks.on_refused = [this](Refusal refusal, const IpAddress&, const std::string&) {
      ++node_refused[refusal];
    };
    return hooks;
  }
  Result<> open_gateway() {
    auto opened = Prober::open(loop, random, {{}, gateway_at, "lo", gateway_key, kGateway, 7},
                               gateway_hooks());
    if (!opened) return fail(opened.error());
    gateway = std::move(*opened);
    gateway->set_askers(askers);
    return {};
  }
  void open() {
    for (std::uint16_t port = 42200; port < 42300; port = static_cast<std::uint16_t>(port + 2)) {
      gateway_at = {*IpAddress::parse("::1"), port};
      node_at = {*IpAddress::parse("::1"), static_cast<std::uint16_t>(port + 1)};
      auto n = Prober::open(loop, random,
                            {{milliseconds(20), 3, 3, 0.2}, node_at, "lo", node_key, kNode},
                            node_hooks());
      if (!open_gateway() || !n) continue;
      node = std::move(*n);
      node->set_targets({{kGateway, {gateway_at, gateway_key.public_key()}}});
      return;
    }
    FAIL() << "no free port";
  }
  bool wait(const std::function<bool()>& done, Duration limit = seconds(5)) {
    const auto poll = loop.every(milliseconds(2), [&] {
      if (done()) loop.stop();
    });
    const auto stop = loop.after(limit, [&] { loop.stop(); });
    loop.run();
    return done();
  }
  ProbeView view() { return node->views().at(kGateway); }
};

// Another program on the same host, which sends any datagrams.
struct Stranger {
  UniqueFd fd{::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  void send(std::span<const std::byte> bytes, const Endpoint& to) const {
    sockaddr_storage at{};
    const auto size = to.to_sockaddr(at);
    EXPECT_EQ(::sendto(fd.get(), bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&at),
                       static_cast<socklen_t>(size)),
              static_cast<ssize_t>(bytes.size()));
  }
  std::vector<std::byte> receive() const {
    std::vector<std::byte> bytes(2000);
    const auto n = ::recv(fd.get(), bytes.data(), bytes.size(), 0);
    bytes.resize(n < 0 ? 0 : static_cast<std::size_t>(n));
    return bytes;
  }
};

TEST(Prober, SeesTheOtherSideComeDrainAndGo) {
  Ends ends;
  ends.open();
  ASSERT_TRUE(ends.wait([&] { return ends.view().usable; }));
  EXPECT_EQ(ends.view().clusters, (std::vector<ProbeCluster>{{"west", true}}));
  EXPECT_FALSE(ends.view().draining);
  ends.draining = true;
  ASSERT_TRUE(ends.wait([&] { return ends.view().draining; }));
  const auto changes = ends.changes;
  ends.gateway.reset();
  ASSERT_TRUE(ends.wait([&] { return !ends.view().usable; }));
  EXPECT_GT(ends.changes, changes);
}

TEST(Prober, ATimeWithoutTargetsIsNoPauseThatDelaysTheNext) {
  Ends ends;
  ends.open();
  ASSERT_TRUE(ends.wait([&] { return ends.view().usable; }));
  ends.node->set_targets({});
  EXPECT_FALSE(ends.wait([] { return false; }, milliseconds(500)));  // the interval is 20 ms
  ends.node->set_targets({{kGateway, {ends.gateway_at, ends.gateway_key.public_key()}}});
  EXPECT_TRUE(ends.wait([&] { return ends.view().usable; }, milliseconds(300)));
}

TEST(Prober, CarriesTheExtraPartAndAsksAtOnceWhenTold) {
  Ends ends;
  ends.open();
  ASSERT_TRUE(ends.wait([&] { return ends.replies > 1; }));
  ends.extra = {1, std::vector<std::byte>(20, std::byte{7})};
  const auto before = ends.replies;
  for (int i = 0; i < 5; ++i) ends.node->ask_now(kGateway);
  ends.node->ask_now({"east", 9});
  ASSERT_TRUE(ends.wait([&] { return ends.replies >= before + 5; }, milliseconds(60)));
  EXPECT_EQ(ends.echoed, ends.extra);
}

TEST(Prober, AnswersThousandsPerSecondAllOfThem) {
  Ends ends;
  ends.open();
  ASSERT_TRUE(ends.wait([&] { return ends.replies > 0; }));
  for (int round = 0; round < 100; ++round) {
    const auto before = ends.replies;
    for (int i = 0; i < 20; ++i) ends.node->ask_now(kGateway);
    ASSERT_TRUE(ends.wait([&] { return ends.replies >= before + 20; })) << round;
  }
  ends.node->set_interval(milliseconds(20));
  EXPECT_TRUE(ends.view().usable);
}

TEST(Prober, TheFirstRequestOnlyIsNotFreshAndTheSecondFollowsAtOnce) {
  Ends ends;
  ends.open();
  ends.extra = {1, std::vector<std::byte>(20, std::byte{7})};
  ASSERT_TRUE(ends.wait([&] { return ends.asked.size() >= 4; }));
  EXPECT_EQ(ends.asked[0], std::pair(std::string("n1"), false));
  for (std::size_t n = 1; n < 4; ++n) EXPECT_TRUE(ends.asked[n].second) << n;
  EXPECT_EQ(ends.strangers, 1);
  ends.asked.clear();
  ends.gateway.reset();
  ASSERT_TRUE(ends.open_gateway());
  ASSERT_TRUE(ends.wait([&] { return ends.asked.size() >= 2; }));
  EXPECT_FALSE(ends.asked[0].second) << "the gateway started again";
  EXPECT_TRUE(ends.asked[1].second);
  EXPECT_EQ(ends.strangers, 2) << "so all claims are sent to it again";
}

// Otherwise both would ask and answer as fast as they can, each time with all claims.
TEST(Prober, AGatewayWithAnotherChallengeEachTimeIsNotAskedMoreOften) {
  Ends ends;
  ends.open();
  ends.gateway.reset();
  Stranger rogue;  // it has the gateway's key
  sockaddr_storage at{};
  const auto size = ends.gateway_at.to_sockaddr(at);
  ASSERT_EQ(::bind(rogue.fd.get(), reinterpret_cast<sockaddr*>(&at), static_cast<socklen_t>(size)),
            0);
  const auto key = *pair_key(ends.gateway_key, ends.node_key.public_key(), kProbeLabel);
  int requests = 0;
  const auto answers = ends.loop.watch(rogue.fd.get(), FdEvent::kRead, [&] {
    const auto request = parse_probe(rogue.receive(), key);
    if (!request) return;
    auto reply = *request;
    reply.reply = true;
    reply.challenge = static_cast<std::uint64_t>(++requests);
    rogue.send(serialize(reply, key), ends.node_at);
  });
  EXPECT_FALSE(ends.wait([] { return false; }, milliseconds(400)));
  EXPECT_GE(requests, 10);
  EXPECT_LE(requests, 60) << "one per 20 ms, and one more right after each";
}

TEST(Prober, APartyWithoutAKnownKeyGetsNoAnswer) {
  Ends ends;
  ends.askers.clear();
  ends.open();
  EXPECT_FALSE(ends.wait([&] { return ends.replies > 0; }, milliseconds(300)));
  EXPECT_TRUE(ends.asked.empty());
  EXPECT_GT(ends.refused[Refusal::kUnknownAsker], 0);
  ends.gateway->set_askers({{kNode, ends.node_key.public_key()}});
  EXPECT_TRUE(ends.wait([&] { return ends.view().usable; }));
}

TEST(Prober, APartyDoesNotSpeakUnderAnothersName) {
  Ends ends;
  ends.askers = {{NodeName{"n2"}, ends.node_key.public_key()},
                 {kNode, private_key(3).public_key()}};
  ends.open();  // a node whose key is known, under another name
  EXPECT_FALSE(ends.wait([&] { return ends.replies > 0; }, milliseconds(300)));
  EXPECT_TRUE(ends.asked.empty());
}

TEST(Prober, TheAnswersOfAGatewayWithAnotherKeyDoNotCount) {
  Ends ends;
  ends.open();
  ends.node->set_targets({{kGateway, {ends.gateway_at, private_key(4).public_key()}}});
  EXPECT_FALSE(ends.wait([&] { return ends.view().usable; }, milliseconds(300)));
  EXPECT_GT(ends.refused[Refusal::kWrongKey], 0);
}

TEST(Prober, APublicKeyThatIsWorthNothingIsSaid) {
  Ends ends;
  ends.open();
  ends.node->set_targets({{kGateway, {ends.gateway_at, Key{}}}});
  EXPECT_EQ(ends.view().trouble, "the other party's public key is a point of low order");
}

TEST(Prober, AForgedOrReplayedRequestIsNeverFresh) {
  Ends ends;
  ends.open();
  ASSERT_TRUE(ends.wait([&] { return ends.asked.size() >= 3; }));
  const auto key = *pair_key(ends.node_key, ends.gateway_key.public_key(), kProbeLabel);
  Probe old;  // as recorded long ago: authentic
  old.asker = party_id(ends.node_key.public_key(), kNode);
  old.session = 77;
  old.sequence = 1'000'000;
  old.challenge = 12345;
  const auto recorded = serialize(old, key);
  auto forged = recorded;
  forged[70] ^= std::byte{1};
  const Stranger stranger;
  ends.asked.clear();
  for (int n = 0; n < 20; ++n) {
    stranger.send(recorded, ends.gateway_at);
    stranger.send(forged, ends.gateway_at);
  }
  ASSERT_TRUE(ends.wait([&] { return ends.refused[Refusal::kWrongKey] >= 20; }));
  EXPECT_TRUE(ends.wait([&] { return ends.asked.size() >= 25; }));
  const auto stale = std::count_if(ends.asked.begin(), ends.asked.end(),
                                   [](const auto& one) { return !one.second; });
  EXPECT_EQ(stale, 20) << "all replays, and none of the node's own";
}

TEST(Prober, AnotherVersionIsToldToBothSidesInWordsAndOnce) {
  Ends ends;
  ends.open();
  ASSERT_TRUE(ends.wait([&] { return ends.view().usable; }));
  std::vector<std::byte> of_five(100);
  for (std::size_t n = 0; n < 4; ++n) of_five[n] = static_cast<std::byte>("CWP5"[n]);
  const Stranger stranger;
  for (int n = 0; n < 10; ++n) stranger.send(of_five, ends.gateway_at);
  ASSERT_TRUE(ends.wait([&] { return ends.refused[Refusal::kVersion] >= 10; }));
  const auto notice = stranger.receive();
  ASSERT_EQ(notice.size(), 8U);
  EXPECT_EQ(notice[3], std::byte{'4'});
  EXPECT_TRUE(stranger.receive().empty()) << "one answer, not one for each datagram";
  EXPECT_TRUE(ends.view().trouble.empty());

  // A gateway of that version takes the place of ours.
  ends.gateway.reset();
  sockaddr_storage at{};
  const auto size = ends.gateway_at.to_sockaddr(at);
  const Stranger five;
  ASSERT_EQ(::bind(five.fd.get(), reinterpret_cast<sockaddr*>(&at), static_cast<socklen_t>(size)),
            0);
  ASSERT_TRUE(ends.wait([&] { return !ends.view().usable; }));
  const auto before = ends.changes;
  for (int n = 0; n < 10; ++n) five.send(std::span(of_five).first(8), ends.node_at);
  ASSERT_TRUE(ends.wait([&] { return ends.node_refused[Refusal::kVersion] >= 10; }));
  EXPECT_EQ(ends.view().trouble, "speaks probe version 5; this side speaks 4");
  EXPECT_LE(ends.changes, before + 2) << "told once";
}

}  // namespace
}  // namespace cw::tunnel
