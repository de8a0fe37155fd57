// Server and client over ::1, on the real loop. The client must see what the server publishes.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <span>

#include "base/event_loop.h"
#include "base/fake/sim_loop.h"
#include "base/log.h"
#include "gateway/feed/announced.h"
#include "gateway/feed/client.h"
#include "gateway/feed/door.h"
#include "gateway/feed/messages.h"
#include "gateway/feed/server.h"

namespace cw::gateway {
namespace {

const IpAddress kLoopback = *IpAddress::parse("::1");
const GatewayId kWest{"west", 0};

tunnel::Key private_key(std::uint8_t seed) {
  SeededRandom random(seed);
  return tunnel::Key::generate_private(random);
}
const tunnel::Key kEastKey = private_key(11);
const tunnel::Key kWestKey = private_key(12);
const FeedTarget kEast{kLoopback, kEastKey.public_key()};
const FeedTarget kNoServer{*IpAddress::parse("127.0.0.9"), kEastKey.public_key()};

api::ExportRecord record(const std::string& name, std::uint16_t port = 1) {
  api::ExportRecord record;
  record.cluster = "east";
  record.service = {"shop", name};
  record.ports = {{"", "TCP", "", port, ""}};
  return record;
}

using Records = std::map<api::ObjectKey, api::ExportRecord>;

// East's server and west's client. The callbacks build the view.
struct Pair {
  EventLoop loop;
  SeededRandom random{1};
  std::unique_ptr<FeedServer> server;
  std::unique_ptr<FeedClient> client;
  std::uint16_t port = 0;
  double snapshots_at_once = 1000;
  Records view;
  Announcement announcement;  // merged
  std::uint64_t changed_since = 0;
  std::optional<RefusalReport> report;
  std::map<std::string, Error> faults;
  bool connected = false;
  int snapshots = 0;
  int losses = 0;

  explicit Pair(double snapshot_burst = 1000) : snapshots_at_once(snapshot_burst) {
    start_server();
    client = std::make_unique<FeedClient>(loop, random, config(), callbacks());
  }
  [[nodiscard]] FeedClientConfig config() const {
    FeedClientConfig config;
    config.self = kWest;
    config.private_key = kWestKey;
    config.local_address = kLoopback;
    config.port = port;
    config.heartbeat = std::chrono::milliseconds(50);
    config.first_retry = std::chrono::milliseconds(10);
    config.most_retry = std::chrono::milliseconds(50);
    config.snapshots_at_once = snapshots_at_once;
    config.snapshot_every = std::chrono::milliseconds(300);
    return config;
  }
  FeedCallbacks callbacks() {
    FeedCallbacks on;
    on.on_state = [this](const std::string&, bool now) {
      connected = now;
      losses += now ? 0 : 1;
    };
    on.on_batch = [this](const std::string& cluster, const FeedBatch& batch) {
      EXPECT_EQ(cluster, "east");
      if (batch.announcement) {
        changed_since = batch.announcement->since;
        merge(std::move(*batch.announcement), announcement);
      }
      if (batch.report) report = batch.report;
      if (batch.snapshot) {
        view.clear();
        for (const auto& [key, said] : *batch.snapshot) view[key] = said.record(cluster);
        ++snapshots;
      }
      for (const auto& [key, said] : batch.changes) {
        view.erase(key);
        if (said) view[key] = said->record(cluster);
      }
      for (const auto& fault : batch.refused) faults[fault.subject] = fault.error;
    };
    return on;
  }
  void start_server() {
    FeedServerConfig config;
    config.heartbeat = std::chrono::milliseconds(20);
    config.max_withdrawn = 4;
    config.stream_burst = 1000;
    server = std::make_unique<FeedServer>(loop, random, kEastKey, config);
    server->set_callers({{kWestKey.public_key(), kWest}});
    // The port of a stopped server may be free only after a moment.
    ASSERT_TRUE(until([this] { return server->listen(kLoopback, port).has_value(); }));
    port = server->port();
  }
  // Runs the loop until the condition holds. False: it did not within 10 s.
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
  Announcement said{
      "east", {{"n0", {*Prefix::parse("10.1.0.0/24")}}}, {{0, "key", {}, false, "n0"}}};
  ASSERT_TRUE(pair.server->publish(said));
  ASSERT_TRUE(pair.server->publish(record("a")));
  pair.client->set_targets({{"east", {kEast}}});
  ASSERT_TRUE(pair.until([&] { return pair.announcement == said; }));
  EXPECT_FALSE(pair.connected);  // the server does not have all its exports yet
  pair.server->complete();
  ASSERT_TRUE(pair.sees({{{"shop", "a"}, record("a")}}));
  ASSERT_TRUE(pair.server->publish(record("b")));
  pair.server->withdraw({"shop", "a"});
  ASSERT_TRUE(pair.sees({{{"shop", "b"}, record("b")}}));
  EXPECT_EQ(pair.snapshots, 1);
  EXPECT_EQ(pair.changed_since, 0U);
  said.nodes["n0"].push_back(*Prefix::parse("10.1.1.0/24"));
  said.nodes["n1"] = {*Prefix::parse("10.1.2.0/24")};
  ASSERT_TRUE(pair.server->publish(said));
  ASSERT_TRUE(pair.until([&] { return pair.announcement == said; }));
  EXPECT_NE(pair.changed_since, 0U) << "a difference";
  EXPECT_EQ(pair.server->streams(), 1U);
  EXPECT_TRUE(pair.client->view().at("east").connected);
  pair.client->set_targets({});
  EXPECT_TRUE(pair.client->view().empty());
  EXPECT_TRUE(pair.until([&] { return pair.server->streams() == 0; }));
  EXPECT_EQ(pair.losses, 0);
}

TEST(Feed, TellsTheCallersClusterWhatIsRefusedOfIt) {
  Pair pair;
  const auto about = [](std::uint32_t ordinal) {
    return report_of(std::vector<Refusal>{{RefusalReason::kUnknownGateway, "a sentence", ordinal}});
  };
  pair.server->publish_refusals({{"west", about(1)}, {"north", about(2)}});
  pair.server->complete();
  pair.client->set_targets({{"east", {kEast}}});
  ASSERT_TRUE(pair.until([&] { return pair.report == about(1); })) << "it comes with the stream";
  pair.server->publish_refusals({{"west", {}}, {"north", about(3)}});
  ASSERT_TRUE(pair.until([&] { return pair.report == RefusalReport{}; }));
  // A new stream begins with the report.
  pair.report.reset();
  pair.client->resync("east");
  ASSERT_TRUE(pair.until([&] { return pair.report == RefusalReport{}; }));
}

// The feed's threads have a lower priority, so a peer's messages delay neither loop nor packets.
TEST(Feed, ItsThreadsGiveWay) {
  Pair pair;
  pair.server->complete();
  pair.client->set_targets({{"east", {kEast}}});
  ASSERT_TRUE(pair.sees({}));
  const auto own = ::getpriority(PRIO_PROCESS, 0);
  int others = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    const auto id = std::stoi(task.path().filename());
    if (id == ::getpid()) continue;
    ++others;
    EXPECT_EQ(::getpriority(PRIO_PROCESS, static_cast<id_t>(id)), std::min(own + 5, 19))
        << std::ifstream(task.path() / "comm").rdbuf();
  }
  EXPECT_GE(others, 3);
}

TEST(Feed, RefusesCallersItDoesNotKnow) {
  Pair pair;
  pair.server->complete();
  pair.server->set_callers({{kWestKey.public_key(), GatewayId{"west", 7}}});
  pair.client->set_targets({{"east", {kEast}}});
  ASSERT_TRUE(pair.until([&] {
    return pair.client->view().at("east").last_error.find("names another gateway") !=
           std::string::npos;
  }));
  EXPECT_EQ(pair.snapshots, 0);
  pair.server->set_callers({{kWestKey.public_key(), kWest}});
  ASSERT_TRUE(pair.sees({}));
  // A gateway is forgotten while it follows the feed, so its stream ends.
  pair.server->set_callers({});
  ASSERT_TRUE(pair.until([&] { return !pair.connected && pair.server->streams() == 0; }));
}

TEST(Feed, GoesOnToTheNextGateway) {
  Pair pair;
  pair.server->complete();
  ASSERT_TRUE(pair.server->publish(record("a")));
  // No server listens on the first address (v4, from a v6 source). The second one answers.
  pair.client->set_targets({{"east", {kNoServer, kEast}}});
  ASSERT_TRUE(pair.sees({{{"shop", "a"}, record("a")}}));
  EXPECT_EQ(pair.client->view().at("east").target, kLoopback);
  // Another order of targets does not disturb a working stream.
  pair.client->set_targets({{"east", {kEast, kNoServer}}});
  ASSERT_TRUE(pair.server->publish(record("b")));
  ASSERT_TRUE(pair.until([&] { return pair.view.size() == 2; }));
  EXPECT_EQ(pair.losses, 0);
  // A gateway that is no longer usable is given up.
  pair.client->set_targets({{"east", {kNoServer}}});
  ASSERT_TRUE(pair.until([&] { return !pair.connected && pair.losses == 1; }));
}

TEST(Feed, ListeningFailsWithoutTheAddressOrOnATakenPort) {
  Pair pair;
  FeedServer other(pair.loop, pair.random, kEastKey);
  const auto taken = other.listen(kLoopback, pair.port);
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, Errc::kUnavailable);
  EXPECT_EQ(other.listen(*IpAddress::parse("fd00:dead::1"), 4798).error().code, Errc::kUnavailable);
  EXPECT_EQ(other.port(), 0);
  EXPECT_TRUE(other.listen(kLoopback, 0));
  const auto port = other.port();
  EXPECT_TRUE(other.listen(kLoopback, 0));  // nothing changes
  EXPECT_EQ(other.port(), port);
}

TEST(Feed, ResumesAfterTheStreamBroke) {
  Pair pair;
  pair.server->complete();
  ASSERT_TRUE(pair.server->publish(record("a")));
  pair.client->set_targets({{"east", {kEast}}});
  ASSERT_TRUE(pair.sees({{{"shop", "a"}, record("a")}}));
  pair.server->set_callers({});
  ASSERT_TRUE(pair.until([&] { return !pair.connected; }));
  ASSERT_TRUE(pair.server->publish(record("b")));
  pair.server->set_callers({{kWestKey.public_key(), kWest}});
  ASSERT_TRUE(pair.sees({{{"shop", "a"}, record("a")}, {{"shop", "b"}, record("b")}}));
  EXPECT_EQ(pair.snapshots, 1);
}

TEST(Feed, AClusterThatBeginsSnapshotsTooOftenIsReadLater) {
  Pair pair(2);
  const auto restart = [&] {
    pair.server.reset();
    pair.start_server();  // the new process does not have the old token
    pair.server->complete();
  };
  pair.server->complete();
  pair.client->set_targets({{"east", {kEast}}});
  ASSERT_TRUE(pair.until([&] { return pair.snapshots == 1 && pair.connected; }));
  restart();
  ASSERT_TRUE(pair.until([&] { return pair.snapshots == 2 && pair.connected; }));
  EXPECT_EQ(pair.faults.count(std::string(kSnapshotsSubject)), 0U);
  const auto before = pair.loop.now();
  restart();
  ASSERT_TRUE(pair.until([&] { return pair.faults.count(std::string(kSnapshotsSubject)) != 0; }));
  EXPECT_NE(pair.client->view().at("east").last_error.find("too often"), std::string::npos);
  ASSERT_TRUE(pair.until([&] { return pair.snapshots == 3 && pair.connected; }));
  EXPECT_LT(pair.loop.now() - before, std::chrono::seconds(5));
}

TEST(Feed, TheViewIsWhatTheServerSaysWhateverHappens) {
  Pair pair;
  pair.server->complete();
  pair.client->set_targets({{"east", {kEast}}});
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
      pair.server->set_callers({{kWestKey.public_key(), kWest}});
    } else if (what == 36) {  // the server's process restarts
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

// A TCP connection to the server, from any host that reaches the port.
struct Caller {
  explicit Caller(std::uint16_t port, const std::string& from = "::1") {
    const auto source = *IpAddress::parse(from);
    const auto target = source.is_v4() ? *IpAddress::parse("127.0.0.1") : kLoopback;
    fd = UniqueFd(::socket(source.is_v4() ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_storage local{};
    const auto local_size = static_cast<socklen_t>(Endpoint{source, 0}.to_sockaddr(local));
    EXPECT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&local), local_size), 0);
    sockaddr_storage remote{};
    const auto size = static_cast<socklen_t>(Endpoint{target, port}.to_sockaddr(remote));
    const timeval patience{5, 0};
    (void)::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&remote), size), 0);
  }
  // Proves `key`. False: refused or ended.
  bool prove(const tunnel::Key& key) {
    const auto shared = tunnel::pair_key(key, kEastKey.public_key(), tunnel::kFeedLabel);
    auto handshake = Handshake::caller(key.public_key(), kEastKey.public_key(), *shared, {});
    send(handshake.start());
    while (true) {
      std::array<std::uint8_t, kHandshakeSize> bytes{};
      const auto size = ::recv(fd.get(), bytes.data(), handshake.remaining(), 0);
      if (size <= 0) return false;
      const auto step = handshake.receive(std::span(bytes).first(static_cast<std::size_t>(size)));
      if (!step.send.empty()) send(step.send);
      if (step.done || step.error) return step.done;
    }
  }
  void send(const std::string& bytes) const {
    (void)::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
  // The other side ended the connection within the patience.
  bool ended() const {
    char bytes[256];
    while (true) {
      const auto size = ::recv(fd.get(), bytes, sizeof bytes, 0);
      if (size > 0) continue;  // gRPC's greeting
      return size == 0 || errno == ECONNRESET;
    }
  }
  bool alive() const {
    char byte = 0;
    const auto size = ::recv(fd.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return size > 0 || (size < 0 && errno == EAGAIN);
  }
  UniqueFd fd;
};

TEST(FeedDoor, AKeyOpensAndAnAddressDoesNot) {
  Pair pair;
  EXPECT_TRUE(Caller(pair.port).prove(kWestKey));
  EXPECT_FALSE(Caller(pair.port).prove(private_key(99)));
  pair.server->set_callers({});
  EXPECT_FALSE(Caller(pair.port).prove(kWestKey));
}

TEST(FeedDoor, AStrangerTakesOneSlotAndTheNewestIsHeard) {
  Pair pair;
  std::vector<std::unique_ptr<Caller>> silent;
  for (int n = 0; n < 200; ++n) silent.push_back(std::make_unique<Caller>(pair.port));
  EXPECT_TRUE(Caller(pair.port).prove(kWestKey));
  // All come from the same address, so each newer one took the older one's slot.
  for (auto& one : silent) EXPECT_TRUE(one->ended());
}

TEST(FeedDoor, AGatewayHasTwoConnectionsTheOldestEnds) {
  Pair pair;
  Caller first(pair.port);
  ASSERT_TRUE(first.prove(kWestKey));
  Caller second(pair.port);
  ASSERT_TRUE(second.prove(kWestKey));
  EXPECT_TRUE(first.alive());
  Caller third(pair.port);
  ASSERT_TRUE(third.prove(kWestKey));
  EXPECT_TRUE(first.ended());
  EXPECT_TRUE(second.alive());
  EXPECT_TRUE(third.alive());
  // Connections of a gateway that is no longer known end, too.
  pair.server->set_callers({});
  EXPECT_TRUE(second.ended());
  EXPECT_TRUE(third.ended());
}

std::unique_ptr<FeedDoor> door_at(std::string_view address) {
  auto door = FeedDoor::open({*IpAddress::parse(address), 0}, kEastKey, [](auto, auto) {}, {});
  EXPECT_TRUE(door);
  return std::move(*door);
}

TEST(FeedDoor, TheGatewaysOfOneClusterDoNotTakeEverySlot) {
  const auto door = door_at("127.0.0.1");
  std::map<tunnel::Key, GatewayId> known{{kWestKey.public_key(), kWest}};
  for (std::uint32_t n = 0; n < 20; ++n) {
    known[private_key(static_cast<std::uint8_t>(100 + n)).public_key()] = {"north", n};
  }
  door->set_callers(known);
  Caller slow(door->port(), "127.0.0.2");
  std::vector<std::unique_ptr<Caller>> silent;
  for (int n = 0; n < 19; ++n) {
    silent.push_back(std::make_unique<Caller>(door->port(), fmt::format("127.0.1.{}", n)));
  }
  EXPECT_TRUE(slow.prove(kWestKey)) << "though 19 others came after it";
  for (auto& one : silent) EXPECT_TRUE(one->alive());
}

TEST(FeedDoor, ACallerWritesOneLineOfTheLogWhateverItSays) {
  const auto door = door_at("127.0.0.1");
  testing::internal::CaptureStderr();
  for (int n = 0; n < 50; ++n) {
    const Caller caller(door->port(), "127.0.0.3");
    caller.send(std::string("CWFH") + static_cast<char>(3 + n) + static_cast<char>(n) +
                std::string("\1\0", 2) + std::string(96, '\0'));
    EXPECT_TRUE(caller.ended());
  }
  EXPECT_TRUE(flush_log());
  const auto log = testing::internal::GetCapturedStderr();
  std::size_t lines = 0;
  for (auto at = log.find("feed caller refused"); at != std::string::npos;
       at = log.find("feed caller refused", at + 1)) {
    ++lines;
  }
  EXPECT_EQ(lines, 1U) << log;
}

TEST(FeedDoor, PatienceIsLimited) {
  EventLoop loop;
  FeedDoorConfig config;
  config.patience = std::chrono::milliseconds(50);
  const auto door = FeedDoor::open(
      {kLoopback, 0}, kEastKey, [](auto, auto) {}, config);
  ASSERT_TRUE(door);
  Caller slow((*door)->port());
  slow.send("CW");
  EXPECT_TRUE(slow.ended());
}

TEST(Feed, AServerWithAnotherKeyIsNotFollowed) {
  Pair pair;
  pair.server->complete();
  pair.client->set_targets({{"east", {{kLoopback, private_key(77).public_key()}}}});
  ASSERT_TRUE(pair.until([&] { return !pair.client->view().at("east").last_error.empty(); }));
  EXPECT_NE(
      pair.client->view().at("east").last_error.find("does not have the remote gateway's key"),
      std::string::npos)
      << pair.client->view().at("east").last_error;
  EXPECT_EQ(pair.server->streams(), 0U);
}

TEST(Feed, AnotherMajorVersionIsSaidInWords) {
  Pair pair;
  FeedServerConfig config;
  config.door.version = {1, 1};
  FeedServer other(pair.loop, pair.random, kEastKey, config);
  other.set_callers({{kWestKey.public_key(), kWest}});
  ASSERT_TRUE(other.listen(kLoopback, 0));
  auto client_config = pair.config();
  client_config.port = other.port();
  FeedClient client(pair.loop, pair.random, client_config, pair.callbacks());
  client.set_targets({{"east", {kEast}}});
  ASSERT_TRUE(pair.until([&] { return !pair.faults.empty(); }));
  EXPECT_NE(pair.faults.at("feed version").text.find("feed version 1.1, this one 2.0"),
            std::string::npos);
  EXPECT_NE(client.view().at("east").last_error.find("upgrade"), std::string::npos);
}

}  // namespace
}  // namespace cw::gateway
