// The laws of writing objects. All writers share them.
#include "api/store/object_keeper.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>

#include "api/fake/memory_store.h"
#include "base/fake/sim_loop.h"

namespace cw::api {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// A store whose answers take 10 ms. It counts requests and can fail them.
class SlowStore : public Store {
 public:
  SlowStore(Loop& loop, MemoryStore& inner) : loop_(loop), inner_(inner) {}
  Handle list(const Selector& selector, ListDone done) override {
    return inner_.list(selector, std::move(done));
  }
  Handle watch(const Selector& selector, const std::string& version,
               WatchHandler handler) override {
    return inner_.watch(selector, version, std::move(handler));
  }
  Handle get(Kind kind, const ObjectKey& key, WriteDone done) override {
    return slow(std::move(done), [&](WriteDone d) { return inner_.get(kind, key, std::move(d)); });
  }
  Handle create(Object object, WriteDone done) override {
    return slow(std::move(done),
                [&](WriteDone d) { return inner_.create(std::move(object), std::move(d)); });
  }
  Handle update(Object object, WriteDone done) override {
    return slow(std::move(done),
                [&](WriteDone d) { return inner_.update(std::move(object), std::move(d)); });
  }
  Handle update_status(Object object, WriteDone done) override {
    return slow(std::move(done),
                [&](WriteDone d) { return inner_.update_status(std::move(object), std::move(d)); });
  }
  Handle remove(Kind kind, const ObjectKey& key, const std::string& version,
                RemoveDone done) override {
    const auto answer = [done = std::move(done)](const Result<Object>& result) {
      done(result ? Result<>() : fail(result.error()));
    };
    return slow(answer, [&](const WriteDone& d) {
      return inner_.remove(kind, key, version, [d](const Result<>& result) {
        d(result ? Result<Object>(Object{}) : fail(result.error()));
      });
    });
  }

  std::optional<Error> error;  // of all requests
  std::size_t requests = 0;
  std::size_t running = 0;
  std::size_t most_running = 0;

 private:
  template <typename Call>
  Handle slow(WriteDone done, Call call) {
    ++requests;
    most_running = std::max(most_running, ++running);
    const auto timer = std::make_shared<Handle>();
    const WriteDone answer = [this, timer, done = std::move(done)](const Result<Object>& result) {
      *timer = loop_.after(milliseconds(10), [this, done, result] {
        --running;
        done(result);
      });
    };
    const auto refuse = [this, answer] {
      return loop_.after(Duration::zero(), [answer, e = *error] { answer(fail(e)); });
    };
    const auto inner = std::make_shared<Handle>(error ? refuse() : call(answer));
    return Handle([timer, inner] {
      timer->reset();
      inner->reset();
    });
  }

  Loop& loop_;
  MemoryStore& inner_;
};

ObjectId id_of(const std::string& name) { return {Kind::kClusterPeer, {"", name}}; }

class KeeperTest : public testing::Test {
 protected:
  KeeperTest() { start(); }
  void start(KeeperLimits limits = {}) {
    keeper = std::make_unique<ObjectKeeper>(
        loop, slow, random,
        ObjectKeeper::Source{[this](const ObjectId& id) { return step(id.key); },
                             [this](const ObjectId& id) { return shown(id.key); },
                             [this](const ObjectId& id, Verb, const Result<Object>& result) {
                               answers += id.key.name + (result ? " ok\n" : " failed\n");
                             }},
        limits);
  }
  // The object in the writer's informer: the store's state at the last show().
  std::shared_ptr<const ClusterPeer> shown(const ObjectKey& key) {
    const auto at = cache.find(key);
    return at == cache.end() ? nullptr : at->second;
  }
  void show(const std::string& name) {
    const ObjectKey key{"", name};
    cache.erase(key);
    const auto read = store.get(Kind::kClusterPeer, key, [&](const Result<Object>& object) {
      if (object)
        cache[key] = std::make_shared<const ClusterPeer>(*decode<ClusterPeer>(object->body));
    });
    loop.run_ready();
    keeper->look(id_of(name));
  }
  Step step(const ObjectKey& key) {
    ++compared;
    const auto have = shown(key);
    const auto want = wanted.find(key);
    if (want == wanted.end()) {
      if (have == nullptr) return {};
      return {Verb::kRemove, have->meta.resource_version};
    }
    auto next = want->second;
    if (have == nullptr) return write_step(Verb::kCreate, next);
    next.meta = have->meta;
    if (have->spec != next.spec) return write_step(Verb::kUpdate, next);
    if (have->status != next.status) return write_step(Verb::kStatus, next);
    return {};
  }
  static ClusterPeer peer(const std::string& name, const std::string& cluster,
                          bool connected = false) {
    ClusterPeer peer;
    peer.meta.key.name = name;
    peer.spec.cluster_id = cluster;
    peer.spec.gateways = {{0, "k", {}}};
    peer.status.connected = connected;
    return peer;
  }
  void want(const std::string& name, const std::string& cluster, bool connected = false) {
    wanted[{"", name}] = peer(name, cluster, connected);
    keeper->look(id_of(name));
  }
  void drop(const std::string& name) {
    wanted.erase({"", name});
    keeper->look(id_of(name));
  }
  ClusterPeer stored(const std::string& name) { return store.must_get<ClusterPeer>({"", name}); }
  void run(Duration span) { loop.advance(span); }

  SimLoop loop;
  SeededRandom random{1};
  MemoryStore store{loop, random};
  SlowStore slow{loop, store};
  std::map<ObjectKey, ClusterPeer> wanted;
  std::map<ObjectKey, std::shared_ptr<const ClusterPeer>> cache;
  std::string answers;
  std::size_t compared = 0;
  std::unique_ptr<ObjectKeeper> keeper;
};

TEST_F(KeeperTest, CreatesUpdatesWritesTheStatusAndRemoves) {
  want("east", "east", true);
  EXPECT_FALSE(keeper->idle());
  run(milliseconds(20));
  EXPECT_EQ(stored("east").spec.cluster_id, "east");
  EXPECT_FALSE(stored("east").status.connected) << "a new object has no status";
  show("east");
  run(milliseconds(20));
  EXPECT_TRUE(stored("east").status.connected);
  show("east");
  want("east", "north", true);
  run(milliseconds(20));
  EXPECT_EQ(stored("east").spec.cluster_id, "north");
  show("east");
  run(milliseconds(20));
  EXPECT_TRUE(keeper->idle());
  EXPECT_EQ(keeper->writes(), 3U);
  drop("east");
  run(milliseconds(20));
  EXPECT_FALSE(store.has(Kind::kClusterPeer, {"", "east"}));
  show("east");
  run(milliseconds(20));
  EXPECT_TRUE(keeper->idle());
  run(seconds(100));
  EXPECT_EQ(slow.requests, 4U) << "an object that is as wanted is left alone";
}

TEST_F(KeeperTest, AnObjectThatIsAsWantedIsOnlyCompared) {
  wanted[{"", "east"}] = peer("east", "east");
  store.put(peer("east", "east"));
  show("east");
  keeper->look(id_of("east"));
  run(seconds(1));
  EXPECT_EQ(compared, 1U) << "several looks in one turn are one comparison";
  EXPECT_EQ(slow.requests, 0U);
  EXPECT_TRUE(keeper->idle());
}

TEST_F(KeeperTest, OneRequestPerObjectAndTheLastWantedStateWins) {
  want("east", "a");
  run(milliseconds(1));
  want("east", "b");
  want("east", "c");
  run(milliseconds(5));
  EXPECT_EQ(slow.running, 1U);
  run(milliseconds(10));
  show("east");
  run(milliseconds(20));
  EXPECT_EQ(stored("east").spec.cluster_id, "c");
  EXPECT_EQ(slow.requests, 2U) << "b was never written";
}

// The informer's event comes after the answer. Until then the cache shows the former object.
TEST_F(KeeperTest, AWriteIsNotRepeatedWhileTheCacheIsOlder) {
  want("east", "a");
  run(milliseconds(20));
  want("east", "b");
  keeper->look(id_of("east"));
  run(seconds(5));
  EXPECT_EQ(slow.requests, 1U);
  show("east");
  run(milliseconds(20));
  EXPECT_EQ(stored("east").spec.cluster_id, "b");
}

TEST_F(KeeperTest, TheEventMayComeBeforeTheAnswer) {
  want("east", "a", true);
  run(milliseconds(5));
  show("east");
  run(milliseconds(30));
  EXPECT_TRUE(stored("east").status.connected) << "compared with the answer, without another look";
}

TEST_F(KeeperTest, AnEventThatIsLostIsNotAwaitedForEver) {
  want("east", "a");
  run(milliseconds(20));
  store.drop(Kind::kClusterPeer, {"", "east"});  // created and removed: no difference is seen
  run(ObjectKeeper::kMaxLag);
  EXPECT_TRUE(store.has(Kind::kClusterPeer, {"", "east"}));
}

TEST_F(KeeperTest, AConflictIsRetriedOnTheNewVersionAndIsNoError) {
  want("east", "a");
  run(milliseconds(20));
  show("east");
  auto other = stored("east");
  other.meta.labels["theirs"] = "1";
  store.put(other);
  want("east", "b");
  run(milliseconds(20));
  EXPECT_EQ(answers, "east ok\neast failed\n");
  EXPECT_EQ(keeper->error(), "");
  show("east");
  run(milliseconds(20));
  EXPECT_EQ(stored("east").spec.cluster_id, "b");
  EXPECT_EQ(stored("east").meta.labels.at("theirs"), "1");
}

TEST_F(KeeperTest, AConflictWithAnOldCacheIsRetriedMoreAndMoreRarely) {
  want("east", "a");
  run(milliseconds(20));
  show("east");
  store.put(stored("east"));
  auto other = stored("east");
  other.meta.labels["theirs"] = "1";
  store.put(other);
  want("east", "b");
  run(seconds(60));
  EXPECT_LE(slow.requests, 12U);
  EXPECT_GE(slow.requests, 6U);
}

TEST_F(KeeperTest, AnObjectOfAnotherWriterIsNotReplaced) {
  store.put(peer("east", "theirs"));
  want("east", "a");
  run(milliseconds(20));
  EXPECT_EQ(stored("east").spec.cluster_id, "theirs") << "kExists";
  EXPECT_EQ(keeper->error(), "");
  show("east");  // now the writer decides, by the stored object
  run(milliseconds(20));
  EXPECT_EQ(stored("east").spec.cluster_id, "a");
}

TEST_F(KeeperTest, AnObjectThatIsGoneIsMadeAgainOrStaysGone) {
  want("east", "a");
  want("west", "a");
  run(milliseconds(20));
  show("east");
  show("west");
  run(milliseconds(20));
  store.drop(Kind::kClusterPeer, {"", "east"});
  store.drop(Kind::kClusterPeer, {"", "west"});
  want("east", "b");
  drop("west");
  run(milliseconds(20));
  EXPECT_NE(answers.find("east failed\n"), std::string::npos) << "kNotFound";
  show("east");
  show("west");
  run(milliseconds(20));
  EXPECT_EQ(stored("east").spec.cluster_id, "b");
  EXPECT_FALSE(store.has(Kind::kClusterPeer, {"", "west"}));
  EXPECT_EQ(keeper->error(), "");
}

TEST_F(KeeperTest, ARefusedWriteIsRetriedMoreAndMoreRarelyAndAtOnceAfterAChange) {
  slow.error = Error{Errc::kDenied, "no"};
  want("east", "a");
  run(seconds(3));
  EXPECT_EQ(keeper->error(), "no");
  const auto before = slow.requests;
  for (int n = 0; n < 60; ++n) {
    keeper->look(id_of("east"));  // as a writer that looks at every pass
    run(seconds(1));
  }
  EXPECT_LE(slow.requests, before + 7);
  EXPECT_GE(slow.requests, before + 2);
  slow.error.reset();
  keeper->retry(id_of("east"));
  run(milliseconds(20));
  EXPECT_TRUE(store.has(Kind::kClusterPeer, {"", "east"}));
  EXPECT_EQ(keeper->error(), "");
}

TEST_F(KeeperTest, ARefusedObjectDoesNotDelayTheOthers) {
  start({.in_flight = 1});
  store.refuse(Kind::kClusterPeer, Error{Errc::kDenied, "no"});
  want("a", "a");
  run(milliseconds(20));
  store.refuse(Kind::kClusterPeer, {});
  want("b", "b");
  run(milliseconds(20));
  EXPECT_TRUE(store.has(Kind::kClusterPeer, {"", "b"}));
  EXPECT_FALSE(store.has(Kind::kClusterPeer, {"", "a"}));
  EXPECT_EQ(keeper->error(), "no") << "until that object is written";
  run(seconds(1));
  EXPECT_EQ(keeper->error(), "");
}

// 1,000 objects must not each try on their own while the store is away.
TEST_F(KeeperTest, WhileTheStoreIsAwayAllWaitTogether) {
  start({.in_flight = 4});
  slow.error = Error{Errc::kUnavailable, "away"};
  for (int n = 0; n < 1000; ++n) want("p" + std::to_string(n), "a");
  run(seconds(60));
  EXPECT_EQ(keeper->error(), "away");
  EXPECT_LE(slow.requests, 15U * 4);
  slow.error.reset();
  run(seconds(31));
  run(seconds(10));
  EXPECT_EQ(store.keys(Kind::kClusterPeer).size(), 1000U);
  EXPECT_EQ(keeper->error(), "");
}

TEST_F(KeeperTest, RequestsInFlightAreBoundedAndTheOthersGoByName) {
  start({.in_flight = 3});
  for (const auto* name : {"z", "a", "y", "x", "b"}) {
    want(name, "c");
    run(milliseconds(1));
  }
  run(milliseconds(100));
  EXPECT_EQ(slow.most_running, 3U);
  EXPECT_EQ(answers, "z ok\na ok\ny ok\nb ok\nx ok\n");
}

TEST_F(KeeperTest, ManyObjectsAreComparedInSlices) {
  for (std::size_t n = 0; n < 2 * ObjectKeeper::kSlice; ++n) {
    keeper->look(id_of("p" + std::to_string(n)));
  }
  std::size_t then = 0;
  const auto between = loop.after(Duration::zero(), [&] { then = compared; });
  run(seconds(1));
  EXPECT_EQ(then, ObjectKeeper::kSlice) << "other work of the loop comes between";
  EXPECT_EQ(compared, 2 * ObjectKeeper::kSlice);
}

// An older schema drops a field: the store answers with the version that it had.
TEST_F(KeeperTest, AWriteThatTheStoreIgnoresIsNotRepeated) {
  store.set_schema([](Object& object) { object.body["spec"]["clusterId"] = "pruned"; });
  want("east", "a");
  run(milliseconds(20));
  show("east");
  run(milliseconds(40));
  const auto before = slow.requests;
  for (int n = 0; n < 10; ++n) {
    keeper->look(id_of("east"));
    run(seconds(60));
  }
  EXPECT_EQ(slow.requests, before);
  EXPECT_TRUE(keeper->idle());
  want("east", "b");
  run(milliseconds(40));
  EXPECT_EQ(slow.requests, before + 1) << "another wanted object is written";
  auto other = stored("east");
  other.meta.labels["theirs"] = "1";
  store.put(other);
  show("east");
  run(milliseconds(40));
  EXPECT_EQ(slow.requests, before + 2) << "another stored object is compared";
}

TEST_F(KeeperTest, AStoppedKeeperForgetsEverything) {
  want("east", "a");
  run(milliseconds(5));
  want("west", "a");
  keeper->stop();
  EXPECT_TRUE(keeper->idle());
  run(seconds(60));
  EXPECT_EQ(answers, "") << "no answer arrives";
  EXPECT_FALSE(store.has(Kind::kClusterPeer, {"", "west"}));
  want("west", "a");  // it leads again
  run(milliseconds(20));
  EXPECT_TRUE(store.has(Kind::kClusterPeer, {"", "west"}));
}

TEST_F(KeeperTest, ARequestInFlightOutlivesItsKeeperSafely) {
  want("east", "a");
  run(milliseconds(1));
  EXPECT_EQ(slow.running, 1U);
  keeper.reset();
  run(seconds(60));
  EXPECT_TRUE(store.has(Kind::kClusterPeer, {"", "east"})) << "the request took effect";
}

// A writer without an informer: the answers are its cache, and it reads after an error.
TEST_F(KeeperTest, AWriterMayReadInsteadOfWatching) {
  std::optional<std::shared_ptr<const Object>> known;  // null: there is none
  bool busy = true;
  ObjectKeeper reader(loop, slow, random,
                      {[&](const ObjectId& id) -> Step {
                         if (!known) return {Verb::kRead};
                         auto wants = peer(id.key.name, "a");
                         if (*known == nullptr) return write_step(Verb::kCreate, wants);
                         if ((*known)->body["spec"]["clusterId"] == "a") return {};
                         wants.meta.resource_version = (*known)->resource_version;
                         if (busy) return {.wait = seconds(7)};
                         return write_step(Verb::kUpdate, wants);
                       },
                       [&](const ObjectId&) { return known.value_or(nullptr); },
                       [&](const ObjectId&, Verb, const Result<Object>& result) {
                         if (result) {
                           known = std::make_shared<const Object>(*result);
                         } else if (known) {
                           known.reset();
                         } else {
                           known = nullptr;
                         }
                       }});
  reader.look(id_of("east"));
  run(milliseconds(50));
  EXPECT_EQ(stored("east").spec.cluster_id, "a");
  EXPECT_EQ(slow.requests, 2U);
  auto other = stored("east");
  other.spec.cluster_id = "b";
  store.put(other);
  known = nullptr;  // as after a removal that was undone: the creation finds the object
  reader.look(id_of("east"));
  run(seconds(5));
  EXPECT_EQ(stored("east").spec.cluster_id, "b") << "the writer asked to wait";
  busy = false;
  run(seconds(3));
  EXPECT_EQ(stored("east").spec.cluster_id, "a");
  store.set_schema([](Object& object) { object.body["spec"]["clusterId"] = "pruned"; });
  other.spec.cluster_id = "pruned";
  store.put(other);
  known.reset();
  reader.look(id_of("east"));
  const auto before = slow.requests;
  run(seconds(60));
  EXPECT_EQ(slow.requests, before + 2) << "a read, and one write that the store ignored";
}

}  // namespace
}  // namespace cw::api
