// Events of switches: they are gathered, counted, rarer while a gateway flaps, and kept while the
// API server is unreachable.
#include "api/store/switch_events.h"

#include <gtest/gtest.h>

#include "api/fake/memory_store.h"
#include "base/fake/sim_loop.h"

namespace cw::api {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

SwitchNote note(const std::string& from, const std::string& to, const std::string& reason,
                int second = 0) {
  return {"to west", from, to, reason, WallTime(seconds(1'700'000'000 + second)), false, 1};
}

TEST(SwitchDigest, TellsFromToWhyAndWhenTheNewestFirst) {
  SwitchDigest digest;
  digest.add(note("gateway 0", "gateway 1", "gateway 0 is down"));
  digest.add(note("gateway 1", "gateway 0", "home of 10.0.0.0/24", 9));
  const auto told = digest.told();
  EXPECT_EQ(told.note.message,
            "to west: gateway 1 -> gateway 0: home of 10.0.0.0/24 (2023-11-14T22:13:29Z) | "
            "to west: gateway 0 -> gateway 1: gateway 0 is down (2023-11-14T22:13:20Z)");
  EXPECT_EQ(told.span.count, 2U);
  EXPECT_EQ(told.span.last - told.span.first, seconds(9));
}

TEST(SwitchDigest, TheSameAgainIsACountAndOneWarningMakesAWarning) {
  SwitchDigest digest;
  for (int i = 0; i < 5; ++i) digest.add(note("a", "b", "x", i));
  auto bad = note("b", "a", "y", 5);
  bad.warning = true;
  bad.count = 3;
  digest.add(bad);
  const auto told = digest.told();
  EXPECT_TRUE(told.note.warning);
  EXPECT_EQ(told.span.count, 8U);
  EXPECT_NE(told.note.message.find(", 5 times)"), std::string::npos) << told.note.message;
  EXPECT_NE(told.note.message.find(", 3 times)"), std::string::npos) << told.note.message;
}

TEST(SwitchDigest, OfTooManyKindsTheOldestGoAndAreCounted) {
  SwitchDigest digest;
  for (int i = 0; i < 40; ++i) digest.add(note(std::to_string(i), "b", "x", i));
  const auto told = digest.told();
  EXPECT_EQ(told.span.count, 40U);
  EXPECT_NE(told.note.message.find("39 -> b"), std::string::npos);
  EXPECT_EQ(told.note.message.find("23 -> b"), std::string::npos);
  EXPECT_NE(told.note.message.find("24 earlier"), std::string::npos);
}

TEST(SwitchDigest, SwitchesThatArePutBackComeBeforeNewerOnes) {
  SwitchDigest older;
  older.add(note("a", "b", "x", 0));
  SwitchDigest newer;
  newer.add(note("a", "b", "x", 5));
  newer.add(note("b", "a", "y", 6));
  newer.put_back(older);
  const auto told = newer.told();
  EXPECT_EQ(told.span.count, 3U);
  EXPECT_EQ(told.span.last - told.span.first, seconds(6));
  EXPECT_EQ(told.note.message.find("to west: b -> a: y"), 0U);
}

class SwitchEventsTest : public testing::Test {
 protected:
  std::vector<nlohmann::json> events() {
    std::vector<nlohmann::json> out;
    const auto handle = store_.list({Kind::kEvent, "default"}, [&](Result<List> list) {
      if (!list) return;
      for (auto& item : list->items) out.push_back(std::move(item.body));
    });
    loop_.advance(std::chrono::milliseconds(1));
    return out;
  }

  SimLoop loop_;
  SeededRandom random_{1};
  MemoryStore store_{loop_, random_};
  std::optional<ObjectMeta> about_ = [] {
    ObjectMeta meta;
    meta.key.name = "gateway-0";
    meta.uid = "u-0";
    return meta;
  }();
  SwitchEvents events_{
      loop_, store_, random_, {"causeway-gateway", "node-1"}, Kind::kTunnelGateway, [this] {
        return about_;
      }};
};

TEST_F(SwitchEventsTest, SwitchesWithinAMomentAreOneEventOnTheObject) {
  for (int i = 0; i < 100; ++i) events_.add(note("a", "b", "x", i));
  EXPECT_TRUE(events().empty()) << "no write in the packets' path";
  loop_.advance(SwitchPace::kGather + SwitchPace::kSpread);
  const auto all = events();
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all.front()["involvedObject"]["kind"], "TunnelGateway");
  EXPECT_EQ(all.front()["involvedObject"]["name"], "gateway-0");
  EXPECT_EQ(all.front()["involvedObject"]["uid"], "u-0");
  EXPECT_EQ(all.front()["reason"], "Switched");
  EXPECT_EQ(all.front()["type"], "Normal");
  EXPECT_EQ(all.front()["count"], 100);
}

TEST_F(SwitchEventsTest, FlappingForAnHourWritesAboutOneAMinuteAndLosesNoCount) {
  constexpr int kSwitches = 2 * 3600;
  for (int i = 0; i < kSwitches; ++i) {
    events_.add(i % 2 == 0 ? note("a", "b", "x", i / 2) : note("b", "a", "y", i / 2));
    loop_.advance(std::chrono::milliseconds(500));
  }
  loop_.advance(minutes(2));
  const auto all = events();
  EXPECT_LE(all.size(), 70U);
  EXPECT_GE(all.size(), 50U);
  int counted = 0;
  for (const auto& event : all) counted += event["count"].get<int>();
  EXPECT_EQ(counted, kSwitches);
}

TEST_F(SwitchEventsTest, AfterAQuietTimeTheNextIsToldSoonAgain) {
  for (int i = 0; i < 600; ++i) {
    events_.add(note("a", "b", "x", i));
    loop_.advance(seconds(1));
  }
  loop_.advance(minutes(10));
  const auto before = events().size();
  events_.add(note("a", "b", "x"));
  loop_.advance(SwitchPace::kGather + SwitchPace::kSpread);
  EXPECT_EQ(events().size(), before + 1);
}

TEST_F(SwitchEventsTest, WhileTheApiIsAwayTheyWaitAndComeThen) {
  for (int i = 0; i < 6; ++i) store_.fail_next({Errc::kUnavailable, "away"});
  events_.add(note("a", "b", "x"));
  loop_.advance(seconds(10));
  EXPECT_TRUE(events().empty());
  events_.add(note("b", "a", "y"));
  loop_.advance(minutes(5));
  const auto all = events();
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all.front()["count"], 2);
}

TEST_F(SwitchEventsTest, ARefusedEventIsNotTriedAgain) {
  store_.fail_next({Errc::kDenied, "no rights"});
  events_.add(note("a", "b", "x"));
  loop_.advance(minutes(5));
  EXPECT_TRUE(events().empty());
  events_.add(note("b", "a", "y"));
  loop_.advance(minutes(5));
  ASSERT_EQ(events().size(), 1U);
  EXPECT_EQ(events().front()["count"], 1);
}

TEST_F(SwitchEventsTest, AnObjectThatIsNotThereYetIsWaitedFor) {
  const auto meta = std::exchange(about_, std::nullopt);
  events_.add(note("a", "b", "x"));
  loop_.advance(minutes(1));
  EXPECT_TRUE(events().empty());
  about_ = meta;
  loop_.advance(minutes(2));
  EXPECT_EQ(events().size(), 1U);
}

}  // namespace
}  // namespace cw::api
