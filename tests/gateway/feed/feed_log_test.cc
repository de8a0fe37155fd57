#include "gateway/feed/feed_log.h"

#include <gtest/gtest.h>

#include "api/mcs/export_record.h"
#include "base/fake/sim_loop.h"
#include "gateway/feed/messages.h"

namespace cw::gateway {
namespace {

api::ExportRecord record(const std::string& name, std::uint16_t port = 1) {
  api::ExportRecord record;
  record.cluster = "east";
  record.service = {"shop", name};
  record.ports = {{"", "TCP", "", port, ""}};
  return record;
}

// The messages for a stream at the cursor until it is up to date, as "( a:1 -b )", and the last
// token.
struct Heard {
  std::string text;
  std::string token;
};

Heard hear(const FeedLog& log, FeedLog::Cursor& cursor, int most = 1000) {
  Heard heard;
  const auto say = [&heard](const std::string& word) {
    heard.text += (heard.text.empty() ? "" : " ") + word;
  };
  for (int i = 0; i < most; ++i) {
    const auto message = log.next(cursor);
    if (!message) break;
    const auto event = *parse_event(*message, "east");
    if (!event.resume_token.empty()) heard.token = event.resume_token;
    if (std::holds_alternative<SnapshotBegin>(event.statement)) say("(");
    if (std::holds_alternative<SnapshotEnd>(event.statement)) say(")");
    if (std::holds_alternative<AnnouncedChange>(event.statement)) say("announcement");
    if (const auto* put = std::get_if<api::ExportRecord>(&event.statement)) {
      say(put->service.name + ":" + std::to_string(put->ports[0].port));
    }
    if (const auto* gone = std::get_if<Withdrawn>(&event.statement)) say("-" + gone->service.name);
  }
  return heard;
}

TEST(FeedLog, ANewStreamHearsASnapshotThenWhatChanges) {
  FeedLog log("i", 100);
  EXPECT_TRUE(*log.announce({"east", {}, {}}));
  EXPECT_FALSE(*log.announce({"east", {}, {}}));
  EXPECT_TRUE(*log.put(record("b")));
  EXPECT_TRUE(*log.put(record("a")));
  EXPECT_FALSE(*log.put(record("a")));
  auto cursor = log.start("");
  EXPECT_EQ(hear(log, cursor).text, "announcement");
  log.complete();
  EXPECT_EQ(hear(log, cursor).text, "( a:1 b:1 )");
  EXPECT_EQ(hear(log, cursor).text, "");
  EXPECT_TRUE(*log.put(record("b", 2)));
  EXPECT_TRUE(log.remove({"shop", "a"}));
  EXPECT_FALSE(log.remove({"shop", "a"}));
  EXPECT_EQ(hear(log, cursor).text, "b:2 -a");
}

TEST(FeedLog, AStreamHearsAllNodesThenThoseThatChanged) {
  FeedLog log("i", 100);
  const auto p = [](std::string_view text) { return *Prefix::parse(text); };
  Announcement said{"east", {{"a", {p("10.1.0.0/24")}}, {"b", {p("10.1.1.0/24")}}}, {}};
  EXPECT_TRUE(*log.announce(said));
  auto first = log.start("");
  const auto next = [&](FeedLog::Cursor& cursor) {
    return std::get<AnnouncedChange>(parse_event(*log.next(cursor), "east")->statement);
  };
  EXPECT_EQ(next(first), (AnnouncedChange{"east", 1, 0, said.nodes, {}}));
  said.nodes["a"].push_back(p("10.1.2.0/24"));
  said.gateways = {{0, "key", {}, false, "a"}};
  EXPECT_TRUE(*log.announce(said));
  EXPECT_EQ(next(first), (AnnouncedChange{"east", 2, 1, {{"a", said.nodes["a"]}}, said.gateways}));
  EXPECT_EQ(log.next(first), std::nullopt);
  auto second = log.start("");
  EXPECT_EQ(next(second), (AnnouncedChange{"east", 2, 0, said.nodes, said.gateways}));
  said.gateways[0].draining = true;
  EXPECT_TRUE(*log.announce(said));
  EXPECT_EQ(next(second), (AnnouncedChange{"east", 3, 2, {}, said.gateways})) << "no nodes again";
}

TEST(FeedLog, AnAnnouncementThatReceiversWouldRefuseIsRefusedAndTheLastOneStays) {
  FeedLog log("i", 100);
  EXPECT_TRUE(*log.announce({"east", {{"a", {*Prefix::parse("10.1.0.0/24")}}}, {}}));
  const auto bad = log.announce({"east", {{"No Node", {*Prefix::parse("10.1.0.0/24")}}}, {}});
  ASSERT_FALSE(bad);
  EXPECT_NE(bad.error().text.find("No Node"), std::string::npos);
  auto cursor = log.start("");
  const auto event = parse_event(*log.next(cursor), "east");
  EXPECT_EQ(std::get<AnnouncedChange>(event->statement).nodes.count("a"), 1U);
}

TEST(FeedLog, ASlowStreamHearsOnlyTheNewest) {
  FeedLog log("i", 100);
  log.complete();
  auto cursor = log.start("");
  (void)hear(log, cursor);
  for (std::uint16_t port = 1; port < 100; ++port) EXPECT_TRUE(*log.put(record("a", port)));
  EXPECT_TRUE(*log.put(record("b")));
  EXPECT_TRUE(log.remove({"shop", "b"}));
  EXPECT_EQ(hear(log, cursor).text, "a:99 -b");
}

TEST(FeedLog, ASnapshotMissesNothingThatChangesMeanwhile) {
  FeedLog log("i", 100);
  for (const auto* name : {"a", "b", "c", "d"}) EXPECT_TRUE(*log.put(record(name)));
  log.complete();
  auto cursor = log.start("");
  EXPECT_EQ(hear(log, cursor, 3).text, "( a:1 b:1");
  EXPECT_TRUE(log.remove({"shop", "a"}));  // already sent
  EXPECT_TRUE(*log.put(record("c", 2)));   // not sent yet: the newest version, and no gap
  EXPECT_TRUE(*log.put(record("cc")));     // new: comes after the snapshot
  const auto heard = hear(log, cursor);
  EXPECT_EQ(heard.text, "c:2 d:1 ) -a c:2 cc:1");
  EXPECT_EQ(heard.token, "i-7");
}

TEST(FeedLog, ASnapshotEndsHoweverFastTheClusterChanges) {
  FeedLog log("i", 100);
  for (int n = 10; n < 60; ++n) EXPECT_TRUE(*log.put(record("s" + std::to_string(n))));
  log.complete();
  auto cursor = log.start("");
  // For each message that is read there are two changes of exports still to come, and a new name.
  int read = 0;
  for (std::uint16_t turn = 2; turn < 1000; ++turn, ++read) {
    EXPECT_TRUE(*log.put(record("s" + std::to_string(10 + turn % 50), turn)));
    EXPECT_TRUE(*log.put(record("s" + std::to_string(10 + (turn + 25) % 50), turn)));
    EXPECT_TRUE(*log.put(record("z" + std::to_string(turn))));
    if (std::holds_alternative<SnapshotEnd>(parse_event(*log.next(cursor), "east")->statement)) {
      break;
    }
  }
  EXPECT_EQ(read, 1 + 51);  // the begin, the 50, and the name that came before the begin
}

TEST(FeedLog, ATokenContinuesWhereItWasGiven) {
  FeedLog log("i", 100);
  log.complete();
  EXPECT_TRUE(*log.put(record("a")));
  auto first = log.start("");
  const auto token = hear(log, first).token;
  EXPECT_EQ(token, "i-1");
  EXPECT_TRUE(*log.put(record("b")));
  EXPECT_TRUE(log.remove({"shop", "a"}));
  auto resumed = log.start(token);
  EXPECT_EQ(hear(log, resumed).text, "b:1 -a");
  EXPECT_EQ(parse_event(log.heartbeat(resumed), "east")->resume_token, "i-3");
  auto fresh = log.start("");
  EXPECT_EQ(parse_event(log.heartbeat(fresh), "east")->resume_token, "");
  for (const auto* bad : {"j-1", "i-99", "i-", "i-1x", "i--1", "-1", "i"}) {
    auto cursor = log.start(bad);
    EXPECT_EQ(hear(log, cursor).text, "( b:1 )") << bad;
  }
}

TEST(FeedLog, ForgottenWithdrawalsCostANewSnapshot) {
  FeedLog log("i", 2);
  log.complete();
  for (const auto* name : {"a", "b", "c", "keep"}) EXPECT_TRUE(*log.put(record(name)));
  auto cursor = log.start("");
  const auto token = hear(log, cursor).token;
  auto half = log.start("");
  EXPECT_EQ(hear(log, half, 2).text, "( a:1");
  for (const auto* name : {"a", "b", "c"}) EXPECT_TRUE(log.remove({"shop", name}));
  EXPECT_EQ(hear(log, cursor).text, "( keep:1 )");
  EXPECT_EQ(hear(log, half).text, "( keep:1 )");
  auto resumed = log.start(token);
  EXPECT_EQ(hear(log, resumed).text, "( keep:1 )");
}

TEST(FeedLog, HoldsTheLimits) {
  FeedLog log("i", 2);
  auto bad = record("a");
  bad.ports[0].port = 0;
  EXPECT_EQ(log.put(bad).error().code, Errc::kInvalid);
  for (std::size_t i = 0; i < kMaxExports; ++i) {
    ASSERT_TRUE(log.put(record("s" + std::to_string(i))));
  }
  EXPECT_EQ(log.put(record("more")).error().code, Errc::kTooLarge);
  EXPECT_TRUE(*log.put(record("s1", 7)));
  EXPECT_TRUE(log.remove({"shop", "s1"}));
  EXPECT_TRUE(*log.put(record("more")));
  FeedLog large("i", 2);
  auto heavy = record("x");
  for (std::uint32_t i = 0; i < api::kMaxExportEndpoints; ++i) {
    heavy.endpoints.push_back(
        {{IpAddress::v4({10, 1, static_cast<std::uint8_t>(i >> 8U), static_cast<std::uint8_t>(i)})},
         "host-" + std::string(40, 'x'),
         "",
         true});
  }
  int taken = 0;
  for (; taken < 1000; ++taken) {
    heavy.service.name = "x" + std::to_string(1000 + taken);
    if (!large.put(heavy)) break;
  }
  EXPECT_EQ(taken, static_cast<int>(kMaxExportBytes / encode_statement(heavy).size()));
}

TEST(FeedLog, AnyStreamEndsUpWithWhatTheClusterSays) {
  SeededRandom random(9);
  for (int round = 0; round < 50; ++round) {
    FeedLog log("i", 3);
    log.complete();
    std::map<std::string, std::uint16_t> said;
    std::map<std::string, std::uint16_t> view;
    std::optional<std::map<std::string, std::uint16_t>> assembling;
    std::string token;
    auto cursor = log.start("");
    const auto listen = [&](std::uint64_t most) {
      for (std::uint64_t i = 0; i < most; ++i) {
        const auto message = log.next(cursor);
        if (!message) return;
        const auto event = *parse_event(*message, "east");
        if (!event.resume_token.empty()) token = event.resume_token;
        if (std::holds_alternative<SnapshotBegin>(event.statement)) assembling.emplace();
        if (std::holds_alternative<SnapshotEnd>(event.statement)) {
          view = *assembling;
          assembling.reset();
        }
        auto& into = assembling ? *assembling : view;
        if (const auto* put = std::get_if<api::ExportRecord>(&event.statement)) {
          into[put->service.name] = put->ports[0].port;
        }
        if (const auto* gone = std::get_if<Withdrawn>(&event.statement)) {
          into.erase(gone->service.name);
        }
      }
    };
    for (int step = 0; step < 200; ++step) {
      const auto draw = random.next();
      const auto name = std::string(1, static_cast<char>('a' + draw % 8));
      const auto port = static_cast<std::uint16_t>(1 + (draw >> 8U) % 5);
      switch ((draw >> 16U) % 8) {
        case 0:
        case 1:
        case 2:
          (void)*log.put(record(name, port));
          said[name] = port;
          break;
        case 3:
        case 4:
          (void)log.remove({"shop", name});
          said.erase(name);
          break;
        case 5:  // the stream breaks, and continues from its token or from nothing
          assembling.reset();
          cursor = log.start((draw >> 24U) % 2 == 0 ? token : "");
          break;
        default:
          listen((draw >> 24U) % 6);
      }
    }
    listen(1000);
    EXPECT_EQ(view, said) << round;
  }
}

}  // namespace
}  // namespace cw::gateway
