// Server and client over ::1, on the real loop: what the client sees is what the server says.
#include <gtest/gtest.h>

#include "base/event_loop.h"
#include "base/fake/sim_loop.h"
#include "gateway/feed/client.h"
#include "gateway/feed/messages.h"
#include "gateway/feed/peer_address.h"
#include "gateway/feed/server.h"

namespace cw::gateway {
namespace {

const IpAddress kLoopback = *IpAddress::parse("::1");
const GatewayId kWest{"west", 0};

api::ExportRecord record(const std::string& name, std::uint16_t port = 1) {
  api::ExportRecord record;
  record.cluster = "east";
  record.service = {"shop", name};
  record.ports = {{"", "TCP", "", port, ""}};
  return record;
}

using Records = std::map<api::ObjectKey, api::ExportRecord>;

// East's server and west's client. The view is what the callbacks built.
struct Pair {
  EventLoop loop;
  SeededRandom random{1};
  std::unique_ptr<FeedServer> server;
  std::unique_ptr<FeedClient> client;
  std::uint16_t port = 0;
  Records view;
  std::optional<Announcement> announcement;
  bool connected = false;
  int snapshots = 0;
  int losses = 0;

  Pair() {
    start_server();
    client = std::make_unique<FeedClient>(loop, random, config(), callbacks());
  }
  [[nodiscard]] FeedClientConfig config() const {
    FeedClientConfig config;
    config.self = kWest;
    config.local_address = kLoopback;
    config.port = port;
    config.heartbeat = std::chrono::milliseconds(50);
    config.first_retry = std::chrono::milliseconds(10);
    config.most_retry = std::chrono::milliseconds(50);
    return config;
  }
  FeedCallbacks callbacks() {
    FeedCallbacks on;
    on.on_state = [this](const std::string&, bool now) {
      connected = now;
      losses += now ? 0 : 1;
    };
    on.on_announcement = [this](const std::string& cluster, Announcement heard) {
      EXPECT_EQ(cluster, "east");
      announcement = std::move(heard);
    };
    on.on_snapshot = [this](const std::string& cluster, const ExportMap& all) {
      view.clear();
      for (const auto& [key, wire] : all) view[key] = *parse_record(wire, cluster);
      ++snapshots;
    };
    on.on_export = [this](const std::string&, api::ExportRecord heard) {
      auto key = heard.service;
      view[key] = std::move(heard);
    };
    on.on_withdrawn = [this](const std::string&, const api::ObjectKey& key) { view.erase(key); };
    return on;
  }
  void start_server() {
    FeedServerConfig config;
    config.heartbeat = std::chrono::milliseconds(20);
    config.max_withdrawn = 4;
    server = std::make_unique<FeedServer>(loop, random, config);
    server->set_callers({{kLoopback, kWest}});
    // The port of a server that stopped may be taken again only after a moment.
    ASSERT_TRUE(until([this] { return server->listen(kLoopback, port).has_value(); }));
    port = server->port();
  }
  // Runs the loop until it holds; false: not within 10 s.
  bool until(const std::function<bool()>& holds) {
    const auto deadline = loop.now() + std::chrono::seconds(10);
    bool held = false;
    const auto check = loop.every(std::chrono::milliseconds(1), [&] {
      held = holds();
      if (held || loop.now() > deadline) loop.stop();
    });
    loop.run();
    return held;
  }
  bool sees(const Records& want) {
    return until([&] { return connected && view == want; });
  }
};

TEST(Feed, CarriesSnapshotAndChanges) {
  Pair pair;
  const Announcement said{"east", {*Prefix::parse("10.1.0.0/16")}, {{0, "key", {}, false, {}, {}}}};
  ASSERT_TRUE(pair.server->publish(said));
  ASSERT_TRUE(pair.server->publish(record("a")));
  pair.client->set_targets("east", {kLoopback});
  ASSERT_TRUE(pair.until([&] { return pair.announcement == said; }));
  EXPECT_FALSE(pair.connected);  // the server does not know all its exports yet
  pair.server->complete();
  ASSERT_TRUE(pair.sees({{{"shop", "a"}, record("a")}}));
  ASSERT_TRUE(pair.server->publish(record("b")));
  pair.server->withdraw({"shop", "a"});
  ASSERT_TRUE(pair.sees({{{"shop", "b"}, record("b")}}));
  EXPECT_EQ(pair.snapshots, 1);
  EXPECT_EQ(pair.server->streams(), 1U);
  EXPECT_TRUE(pair.client->view().at("east").connected);
  pair.client->set_targets("east", {});
  EXPECT_TRUE(pair.client->view().empty());
  EXPECT_TRUE(pair.until([&] { return pair.server->streams() == 0; }));
  EXPECT_EQ(pair.losses, 0);
}

TEST(Feed, RefusesCallersItDoesNotKnow) {
  Pair pair;
  pair.server->complete();
  pair.server->set_callers({{kLoopback, GatewayId{"west", 7}}});
  pair.client->set_targets("east", {kLoopback});
  ASSERT_TRUE(pair.until([&] {
    return pair.client->view().at("east").last_error.find("not the gateway") != std::string::npos;
  }));
  EXPECT_EQ(pair.snapshots, 0);
  pair.server->set_callers({{kLoopback, kWest}});
  ASSERT_TRUE(pair.sees({}));
  // Forgotten while it listens: the stream ends.
  pair.server->set_callers({});
  ASSERT_TRUE(pair.until([&] { return !pair.connected && pair.server->streams() == 0; }));
}

TEST(Feed, GoesOnToTheNextGateway) {
  Pair pair;
  pair.server->complete();
  ASSERT_TRUE(pair.server->publish(record("a")));
  // Nothing listens on the first (v4, from a v6 source); the second answers.
  pair.client->set_targets("east", {*IpAddress::parse("127.0.0.9"), kLoopback});
  ASSERT_TRUE(pair.sees({{{"shop", "a"}, record("a")}}));
  EXPECT_EQ(pair.client->view().at("east").target, kLoopback);
  // Another order does not disturb a stream that works.
  pair.client->set_targets("east", {kLoopback, *IpAddress::parse("127.0.0.9")});
  ASSERT_TRUE(pair.server->publish(record("b")));
  ASSERT_TRUE(pair.until([&] { return pair.view.size() == 2; }));
  EXPECT_EQ(pair.losses, 0);
  // No longer among the usable: given up.
  pair.client->set_targets("east", {*IpAddress::parse("127.0.0.9")});
  ASSERT_TRUE(pair.until([&] { return !pair.connected && pair.losses == 1; }));
}

TEST(Feed, ListeningFailsWithoutTheAddressOrOnATakenPort) {
  Pair pair;
  FeedServer other(pair.loop, pair.random);
  const auto taken = other.listen(kLoopback, pair.port);
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, Errc::kUnavailable);
  EXPECT_EQ(other.listen(*IpAddress::parse("fd00:dead::1"), 4798).error().code, Errc::kUnavailable);
  EXPECT_FALSE(other.listening());
  EXPECT_TRUE(other.listen(kLoopback, 0));
  const auto port = other.port();
  EXPECT_TRUE(other.listen(kLoopback, 0));  // nothing changes
  EXPECT_EQ(other.port(), port);
}

TEST(Feed, ResumesAfterTheStreamBroke) {
  Pair pair;
  pair.server->complete();
  ASSERT_TRUE(pair.server->publish(record("a")));
  pair.client->set_targets("east", {kLoopback});
  ASSERT_TRUE(pair.sees({{{"shop", "a"}, record("a")}}));
  pair.server->set_callers({});
  ASSERT_TRUE(pair.until([&] { return !pair.connected; }));
  ASSERT_TRUE(pair.server->publish(record("b")));
  pair.server->set_callers({{kLoopback, kWest}});
  ASSERT_TRUE(pair.sees({{{"shop", "a"}, record("a")}, {{"shop", "b"}, record("b")}}));
  EXPECT_EQ(pair.snapshots, 1);
}

TEST(Feed, TheViewIsWhatTheServerSaysWhateverHappens) {
  Pair pair;
  pair.server->complete();
  pair.client->set_targets("east", {kLoopback});
  SeededRandom random(4);
  Records said;
  for (int step = 0; step < 400; ++step) {
    const auto draw = random.next();
    const auto name = std::string(1, static_cast<char>('a' + draw % 10));
    const auto what = (draw >> 8U) % 40;
    if (what < 20) {
      said[{"shop", name}] = record(name, static_cast<std::uint16_t>(1 + draw % 100));
      ASSERT_TRUE(pair.server->publish(said[{"shop", name}]));
    } else if (what < 33) {
      said.erase({"shop", name});
      pair.server->withdraw({"shop", name});
    } else if (what < 36) {  // the streams break
      pair.server->set_callers({});
      pair.server->set_callers({{kLoopback, kWest}});
    } else if (what == 36) {  // the process is another one
      pair.server.reset();
      pair.start_server();
      for (const auto& [key, one] : said) ASSERT_TRUE(pair.server->publish(one));
      pair.server->complete();
    } else {
      int turns = static_cast<int>((draw >> 16U) % 5);
      ASSERT_TRUE(pair.until([&] { return turns-- <= 0; }));
    }
  }
  EXPECT_TRUE(pair.sees(said)) << pair.view.size() << " of " << said.size();
}

TEST(PeerAddress, ReadsWhatGrpcSays) {
  EXPECT_EQ(*peer_address("ipv6:%5Bfd00::1%5D:4798"), *IpAddress::parse("fd00::1"));
  EXPECT_EQ(*peer_address("ipv6:[fd00::1]:4798"), *IpAddress::parse("fd00::1"));
  EXPECT_EQ(*peer_address("ipv4:192.0.2.1:80"), *IpAddress::parse("192.0.2.1"));
  for (const auto* bad :
       {"", "ipv6:", "unix:/tmp/x", "ipv4:192.0.2.1", "ipv6:%5B%5D:1", "ipv4:x:1"}) {
    EXPECT_FALSE(peer_address(bad)) << bad;
  }
  EXPECT_FALSE(peer_address("ipv6:" + std::string(1000, '[')));
}

}  // namespace
}  // namespace cw::gateway
