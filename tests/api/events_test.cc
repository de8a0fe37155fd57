// Events: which are written, the bound on their number, and those about objects that cannot be
// read.
#include "api/store/events.h"

#include <gtest/gtest.h>

#include "api/fake/memory_store.h"
#include "api/store/bad_objects.h"
#include "api/store/condition_events.h"
#include "base/fake/sim_loop.h"

namespace cw::api {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

constexpr auto kTrue = ConditionStatus::kTrue;
constexpr auto kFalse = ConditionStatus::kFalse;

Condition is(std::string type, ConditionStatus status, std::string reason) {
  return {std::move(type), status, std::move(reason), "so it is", 0, {}};
}

using Conditions = std::vector<Condition>;

TEST(NotesOf, GoingBadAnotherReasonAndWellAgainAreTold) {
  const Conditions well = {is("Accepted", kTrue, "Paired")};
  const Conditions bad = {is("Accepted", kFalse, "OwnId")};
  const Conditions other = {is("Accepted", kFalse, "Overlap")};
  const Note note{true, "OwnId", "Accepted: so it is"};
  EXPECT_EQ(notes_of({}, bad), std::vector{note});
  EXPECT_EQ(notes_of(well, bad), std::vector{note});
  EXPECT_EQ(notes_of(bad, other).front().reason, "Overlap");
  EXPECT_EQ(notes_of(bad, well), (std::vector<Note>{{false, "Paired", "Accepted: so it is"}}));
}

TEST(NotesOf, AGoodBeginningTheSameAgainAndWaitingAreNot) {
  const Conditions well = {is("Valid", kTrue, "Valid")};
  const Conditions bad = {is("Valid", kFalse, "NoService")};
  EXPECT_TRUE(notes_of({}, well).empty());
  EXPECT_TRUE(notes_of(bad, bad).empty());
  EXPECT_TRUE(notes_of({}, Conditions{is("Ready", kFalse, "Pending")}).empty());
  EXPECT_TRUE(notes_of(bad, Conditions{is("Valid", ConditionStatus::kUnknown, "X")}).empty());
}

TEST(NotesOf, AConflictIsBadWhenItIsThere) {
  EXPECT_TRUE(notes_of({}, Conditions{is("Conflict", kFalse, "NoConflicts")}).empty());
  EXPECT_TRUE(notes_of({}, Conditions{is("Conflict", kTrue, "PortConflict")}).front().warning);
}

class EventsTest : public testing::Test {
 protected:
  ClusterPeer peer(const std::string& name) {
    ClusterPeer peer;
    peer.meta.key.name = name;
    peer.meta.uid = "u-" + name;
    peer.spec.cluster_id = name;
    peer.spec.gateways.emplace_back();
    peer.spec.gateways.front().public_key = "k";
    return peer;
  }
  std::vector<nlohmann::json> events() {
    std::vector<nlohmann::json> out;
    loop_.advance(seconds(1));
    const auto handle = store_.list({Kind::kEvent, "default"}, [&](Result<List> list) {
      if (!list) return;
      for (auto& item : list->items) out.push_back(std::move(item.body));
    });
    loop_.advance(seconds(1));
    return out;
  }

  SimLoop loop_;
  SeededRandom random_{1};
  MemoryStore store_{loop_, random_};
  EventRecorder recorder_{loop_, store_, random_, "causeway-gateway", "gateway-0"};
};

TEST_F(EventsTest, AnEventNamesItsObjectAndItsReporter) {
  recorder_.record(Kind::kClusterPeer, peer("west").meta, {true, "NoTunnel", "no tunnel"});
  const auto all = events();
  ASSERT_EQ(all.size(), 1U);
  const auto& event = all.front();
  EXPECT_EQ(event["involvedObject"]["kind"], "ClusterPeer");
  EXPECT_EQ(event["involvedObject"]["name"], "west");
  EXPECT_EQ(event["involvedObject"]["uid"], "u-west");
  EXPECT_EQ(event["type"], "Warning");
  EXPECT_EQ(event["reason"], "NoTunnel");
  EXPECT_EQ(event["message"], "no tunnel");
  EXPECT_EQ(event["reportingComponent"], "causeway-gateway");
  EXPECT_EQ(event["reportingInstance"], "gateway-0");
}

TEST_F(EventsTest, TheSameIsToldOncePerFiveMinutesAndABurstIsBounded) {
  const auto meta = peer("west").meta;
  for (int i = 0; i < 3; ++i) recorder_.record(Kind::kClusterPeer, meta, {true, "A", "a"});
  EXPECT_EQ(events().size(), 1U);
  loop_.advance(minutes(5));
  recorder_.record(Kind::kClusterPeer, meta, {true, "A", "a"});
  EXPECT_EQ(events().size(), 2U);
  for (int i = 0; i < 200; ++i) {
    recorder_.record(Kind::kClusterPeer, meta, {true, "A", std::to_string(i)});
  }
  EXPECT_EQ(events().size(), 1U + EventRecorder::kBurst);
  loop_.advance(seconds(20));
  for (int i = 0; i < 200; ++i) {
    recorder_.record(Kind::kClusterPeer, meta, {true, "B", std::to_string(i)});
  }
  const auto more = events().size() - 1U - EventRecorder::kBurst;
  EXPECT_GE(more, 4U);
  EXPECT_LE(more, 5U);
}

TEST_F(EventsTest, ALongMessageIsCutBetweenCharacters) {
  std::string message(EventRecorder::kMaxMessage - 1, 'x');
  recorder_.record(Kind::kClusterPeer, peer("west").meta, {true, "A", message + "\u00e4"});
  EXPECT_EQ(events().front()["message"], message);
}

TEST_F(EventsTest, ConditionsThatChangeAreToldWhoeverWroteThem) {
  store_.put(peer("west"));
  Informer<ClusterPeer> cache(loop_, store_, random_, [] {});
  ConditionEvents<ClusterPeer> teller(loop_, recorder_, cache);
  loop_.advance(seconds(1));
  teller.look(true);
  loop_.advance(seconds(1));
  auto refused = peer("west");
  refused.status.conditions = {is("Accepted", kFalse, "OwnId")};
  store_.put(refused);
  teller.look(true);
  ASSERT_EQ(events().size(), 1U);
  EXPECT_EQ(events().front()["reason"], "OwnId");
}

TEST_F(EventsTest, WithoutTheLeaseItReportsNothingAndLaterOnlyChanges) {
  Informer<ClusterPeer> cache(loop_, store_, random_, [] {});
  ConditionEvents<ClusterPeer> teller(loop_, recorder_, cache);
  auto refused = peer("west");
  refused.status.conditions = {is("Accepted", kFalse, "OwnId")};
  store_.put(refused);
  loop_.advance(seconds(1));
  teller.look(false);
  loop_.advance(seconds(1));
  teller.look(true);
  EXPECT_TRUE(events().empty());
}

TEST_F(EventsTest, ABadObjectGetsAConditionAndAnEventOnce) {
  auto body = encode(peer("west"));
  body["metadata"]["uid"] = "u-west";
  body["metadata"]["generation"] = 3;
  body["spec"]["clusterId"] = "West!";
  store_.put_body(Kind::kClusterPeer, {"", "west"}, body);
  BadObjects bad(loop_, store_, recorder_, Kind::kClusterPeer, "Accepted");
  int reports = 0;
  Informer<ClusterPeer> cache(loop_, store_, random_, [] {});
  cache.set_on_bad([&](const ObjectKey& key, const Error& error) {
    ++reports;
    bad.report(key, error);
  });
  loop_.advance(seconds(5));
  EXPECT_EQ(reports, 2);  // first as written, then with the condition
  const auto all = events();
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all.front()["reason"], "Invalid");
  EXPECT_NE(all.front()["message"].get<std::string>().find("clusterId"), std::string::npos);
  nlohmann::json stored;
  const auto handle = store_.get(Kind::kClusterPeer, {"", "west"},
                                 [&](const Result<Object>& object) { stored = object->body; });
  loop_.advance(seconds(1));
  const auto& condition = stored["status"]["conditions"][0];
  EXPECT_EQ(condition["type"], "Accepted");
  EXPECT_EQ(condition["status"], "False");
  EXPECT_EQ(condition["observedGeneration"], 3);
  EXPECT_TRUE(stored["spec"]["clusterId"] == "West!");  // nothing else was touched
}

}  // namespace
}  // namespace cw::api
