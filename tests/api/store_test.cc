#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "api/dir/dir_store.h"
#include "api/fake/memory_store.h"
#include "api/store/informer.h"
#include "api/store/lease_elector.h"
#include "api/store/open.h"
#include "api/types/tunnel_gateway.h"
#include "base/event_loop.h"
#include "base/fake/sim_loop.h"
#include "base/log.h"
#include "tests/api/store_contract.h"

namespace cw::api {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
namespace fs = std::filesystem;

class MemoryFixture : public testing::Test {
 protected:
  Store& store() { return store_; }
  void turn(const std::function<bool()>& done) {
    for (int i = 0; i < 100 && !done(); ++i) loop_.advance(milliseconds(1));
    EXPECT_TRUE(done());
  }
  void settle() { loop_.advance(milliseconds(10)); }

  SimLoop loop_;
  SeededRandom random_{1};
  MemoryStore store_{loop_, random_};
};

class DirFixture : public testing::Test {
 protected:
  DirFixture() {
    char name[] = "/tmp/causeway-store-XXXXXX";
    root_ = mkdtemp(name);
    store_ = std::move(*open_store(loop_, random_, "dir:" + root_.string()));
  }
  ~DirFixture() override {
    store_.reset();
    fs::remove_all(root_);
  }
  Store& store() { return *store_; }
  void turn(const std::function<bool()>& done) {
    const auto poll = loop_.every(milliseconds(1), [&] {
      if (done()) loop_.stop();
    });
    const auto limit = loop_.after(seconds(5), [&] { loop_.stop(); });
    loop_.run();
    EXPECT_TRUE(done());
  }
  void settle() {
    const auto limit = loop_.after(milliseconds(50), [&] { loop_.stop(); });
    loop_.run();
  }
  void write(const std::string& path, const std::string& text) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  [[nodiscard]] std::string read(const std::string& path) const {
    std::ifstream file(root_ / path);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  EventLoop loop_;
  SystemRandom random_;
  fs::path root_;
  std::unique_ptr<Store> store_;
};

using Fixtures = testing::Types<MemoryFixture, DirFixture>;
INSTANTIATE_TYPED_TEST_SUITE_P(Local, StoreContract, Fixtures);

constexpr const char* kPeerYaml =
    "spec:\n  clusterId: east\n  gateways:\n    - ordinal: 0\n      publicKey: "
    "bm90IGEga2V5IGJ1dCAzMiBieXRlcyBsb25nISEhISE=\n";

using DirStoreTest = StoreContract<DirFixture>;

TEST_F(DirStoreTest, HandWrittenFilesAreReadAndChangesAreSeen) {
  SystemRandom random;
  int changes = 0;
  Informer<ClusterPeer> informer(loop_, store(), random, [&] { ++changes; });
  write("clusterpeers/east.yaml", kPeerYaml);
  turn([&] { return informer.items().size() == 1; });
  const auto peer = informer.find({"", "east"});
  EXPECT_EQ(peer->spec.cluster_id, "east");
  EXPECT_FALSE(peer->meta.uid.empty());
  EXPECT_EQ(peer->meta.generation, 1);
  write("clusterpeers/east.yaml", std::string(kPeerYaml) + "  allowedCidrs: [10.0.0.0/8]\n");
  turn([&] { return informer.find({"", "east"})->spec.allowed_cidrs.size() == 1; });
  fs::remove(root_ / "clusterpeers/east.yaml");
  turn([&] { return informer.items().empty(); });
}

// The store does not read a file again while its size and times are the same. Two edits of the same
// size within one clock tick must not look the same.
TEST_F(DirStoreTest, OfManyEditsInPlaceTheLastCounts) {
  SystemRandom random;
  Informer<ClusterPeer> informer(loop_, store(), random, [] {});
  for (int round = 0; round < 5; ++round) {
    std::string last;
    for (int n = 0; n < 3; ++n) {
      last = "10." + std::to_string(100 + round) + "." + std::to_string(n) + ".0/24";
      write("clusterpeers/east.yaml", std::string(kPeerYaml) + "  allowedCidrs: [" + last + "]\n");
      settle();
    }
    const auto wanted = *Prefix::parse(last);
    turn([&] {
      const auto peer = informer.find({"", "east"});
      return peer != nullptr && peer->spec.allowed_cidrs == std::vector<Prefix>{wanted};
    });
  }
}

TEST_F(DirStoreTest, AHandEditConflictsWithAWriterThatHasNotReadIt) {
  auto object = *create(peer("east"));
  auto text = read("clusterpeers/east.yaml");
  write("clusterpeers/east.yaml", text + "# a comment changes nothing\n");
  object.body["status"] = {{"connected", true}};
  auto stored = update_status(object);
  ASSERT_TRUE(stored) << stored.error().text;
  write("clusterpeers/east.yaml", std::string(kPeerYaml) + "  allowedCidrs: [10.0.0.0/8]\n");
  EXPECT_EQ(update_status(*stored).error().code, Errc::kConflict);
  EXPECT_NE(read("clusterpeers/east.yaml").find("allowedCidrs: [10.0.0.0/8]"), std::string::npos);
}

TEST_F(DirStoreTest, ABrokenFileKeepsTheLastGoodStateUntilItIsMended) {
  write("clusterpeers/east.yaml", kPeerYaml);
  SystemRandom random;
  Informer<ClusterPeer> informer(loop_, store(), random, [] {});
  turn([&] { return informer.items().size() == 1; });
  testing::internal::CaptureStderr();
  write("clusterpeers/east.yaml", "spec: {{{\n");
  settle();
  EXPECT_EQ(informer.items().size(), 1U);
  flush_log();
  const auto log = testing::internal::GetCapturedStderr();
  EXPECT_NE(log.find("clusterpeers/east.yaml:"), std::string::npos) << log;
  write("clusterpeers/east.yaml", std::string(kPeerYaml) + "  allowedCidrs: [10.0.0.0/8]\n");
  turn([&] { return informer.find({"", "east"})->spec.allowed_cidrs.size() == 1; });
}

TEST_F(DirStoreTest, OnlyRequestedKindsAreRead) {
  write("tunnelgateways/g.yaml", "spec: {{{\n");
  testing::internal::CaptureStderr();
  SystemRandom random;
  Informer<ClusterPeer> peers(loop_, store(), random, [] {});
  turn([&] { return peers.synced(); });
  write("tunnelgateways/h.yaml", "spec: {{{\n");
  settle();
  flush_log();
  EXPECT_EQ(testing::internal::GetCapturedStderr().find("tunnelgateways/"), std::string::npos);
  testing::internal::CaptureStderr();
  Informer<TunnelGateway> gateways(loop_, store(), random, [] {});
  turn([&] { return gateways.synced(); });
  flush_log();
  EXPECT_NE(testing::internal::GetCapturedStderr().find("tunnelgateways/g.yaml:"),
            std::string::npos);
}

TEST_F(DirStoreTest, ABadObjectKeepsTheLastGoodStateToo) {
  write("clusterpeers/east.yaml", kPeerYaml);
  SystemRandom random;
  std::string bad;
  Informer<ClusterPeer> informer(loop_, store(), random, [] {});
  informer.set_on_bad([&](const ObjectKey&, const Error& e) { bad = e.text; });
  turn([&] { return informer.items().size() == 1; });
  write("clusterpeers/east.yaml", "spec: {clusterId: NOT A LABEL, gateways: []}\n");
  turn([&] { return !bad.empty(); });
  EXPECT_EQ(bad, "spec.clusterId: want a DNS label: 1 to 63 of a-z, 0-9 and -");
  EXPECT_EQ(informer.find({"", "east"})->spec.cluster_id, "east");
}

TEST_F(DirStoreTest, TwoStoresOnOneFolderSeeEachOther) {
  auto other = std::move(*open_store(loop_, random_, "dir:" + root_.string()));
  SystemRandom random;
  Informer<Lease> informer(loop_, *other, random, [] {});
  Lease lease;
  lease.meta.key = {"causeway-system", "x"};
  lease.holder = "a";
  auto made = create({Kind::kLease, lease.meta.key, "", encode(lease)});
  ASSERT_TRUE(made) << made.error().text;
  turn([&] { return informer.items().size() == 1; });
  // Both read the same version; the second writer loses.
  auto mine = *made;
  mine.body["spec"]["holderIdentity"] = "b";
  ASSERT_TRUE(update(mine));
  std::optional<Result<Object>> lost;
  mine.body["spec"]["holderIdentity"] = "c";
  const auto handle = other->update(mine, [&](Result<Object> r) { lost = std::move(r); });
  turn([&] { return lost.has_value(); });
  EXPECT_EQ(lost->error().code, Errc::kConflict);
}

TEST_F(DirStoreTest, SecretsAreForTheirOwnerOnly) {
  Secret secret;
  secret.meta.key = {"causeway-system", "keys"};
  secret.data["k"] = std::string("\0\1\2", 3);
  ASSERT_TRUE(create({Kind::kSecret, secret.meta.key, "", encode(secret)}));
  struct stat status {};
  ASSERT_EQ(stat((root_ / "secrets/causeway-system/keys.yaml").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
  const auto back = decode<Secret>(get(Kind::kSecret, secret.meta.key)->body);
  EXPECT_EQ(back->data, secret.data);
}

TEST_F(DirStoreTest, LeftoversOfADeadWriterAreIgnoredAndRemoved) {
  write("clusterpeers/.tmp-123-1", "spec: half wri");
  const auto again = std::move(*open_store(loop_, random_, "dir:" + root_.string()));
  EXPECT_FALSE(fs::exists(root_ / "clusterpeers/.tmp-123-1"));
  EXPECT_TRUE(list({Kind::kClusterPeer, "", ""})->items.empty());
}

TEST_F(DirStoreTest, AFolderThatGoesAwayComesBack) {
  ASSERT_TRUE(create(peer("east")));
  SystemRandom random;
  Informer<ClusterPeer> informer(loop_, store(), random, [] {});
  turn([&] { return informer.available() && informer.items().size() == 1; });
  const auto aside = root_.string() + "-aside";
  fs::rename(root_, aside);
  turn([&] { return !informer.available(); });
  EXPECT_EQ(informer.items().size(), 1U);  // the known object stays
  EXPECT_EQ(create(peer("west")).error().code, Errc::kUnavailable);
  fs::rename(aside, root_);
  turn([&] { return informer.available(); });
  EXPECT_TRUE(create(peer("west")));
  turn([&] { return informer.items().size() == 2; });
}

TEST(OpenStore, ABadAddressOrPathIsOneClearLine) {
  SimLoop loop;
  SeededRandom random(1);
  EXPECT_EQ(open_store(loop, random, "redis:x").error().text,
            "store: \"redis:x\": want dir:/path or kube:[FILE][#CONTEXT]");
  const auto denied = open_store(loop, random, "dir:/proc/nonexistent");
  ASSERT_FALSE(denied);
  EXPECT_NE(denied.error().text.find("/proc/nonexistent"), std::string::npos);
}

using InformerTest = MemoryFixture;

TEST_F(InformerTest, ListsAgainWhenItsVersionHasExpired) {
  Namespace ns;
  ns.meta.key.name = "a";
  store_.put(ns);
  int changes = 0;
  Informer<Namespace> informer(loop_, store_, random_, [&] { ++changes; });
  turn([&] { return informer.synced(); });
  store_.unavailable({Errc::kExpired, "watch expired; list again"});
  store_.available();
  ns.meta.key.name = "b";
  store_.put(ns);
  store_.drop(Kind::kNamespace, {"", "a"});
  turn([&] { return informer.items().size() == 1 && informer.find({"", "b"}) != nullptr; });
}

TEST_F(InformerTest, KeepsOnlyWhatItsOwnerReads) {
  Namespace ns;
  ns.meta.key.name = "a";
  ns.meta.annotations = {{"long", "text"}};
  store_.put(ns);
  Informer<Namespace> informer(loop_, store_, random_, [] {});
  informer.set_trim([](Namespace& object) { object.meta.annotations.clear(); });
  turn([&] { return informer.synced(); });
  EXPECT_TRUE(informer.find({"", "a"})->meta.annotations.empty());
  ns.meta.annotations = {{"other", "text"}};
  ns.meta.labels = {{"x", "y"}};
  store_.put(ns);
  turn([&] { return informer.find({"", "a"})->meta.labels.size() == 1; });
  EXPECT_TRUE(informer.find({"", "a"})->meta.annotations.empty());
}

TEST_F(InformerTest, KeepsItsObjectsWhileTheStoreIsAway) {
  Namespace ns;
  ns.meta.key.name = "a";
  store_.put(ns);
  Informer<Namespace> informer(loop_, store_, random_, [] {});
  turn([&] { return informer.synced(); });
  store_.unavailable({Errc::kUnavailable, "down"});
  turn([&] { return !informer.available(); });
  EXPECT_EQ(informer.items().size(), 1U);
  loop_.advance(seconds(60));
  store_.available();
  loop_.advance(seconds(11));
  EXPECT_TRUE(informer.available());
}

TEST_F(InformerTest, AWatchThatStoodMakesTheNextPauseShortAgain) {
  Informer<Namespace> informer(loop_, store_, random_, [] {});
  turn([&] { return informer.synced(); });
  for (int outage = 0; outage < 2; ++outage) {
    store_.unavailable({Errc::kUnavailable, "down"});
    loop_.advance(outage == 0 ? seconds(60) : milliseconds(50));
    EXPECT_FALSE(informer.available());
    store_.available();
    loop_.advance(outage == 0 ? seconds(25) : seconds(1));
    EXPECT_TRUE(informer.available());
  }
}

class LeaseTest : public MemoryFixture {
 protected:
  std::unique_ptr<LeaseElector> elector(const std::string& name) {
    return std::make_unique<LeaseElector>(loop_, store_, random_,
                                          LeaseConfig{{"causeway-system", "x"}, name}, [](bool) {});
  }
};

TEST_F(LeaseTest, OneOfTwoHoldsItAndTheOtherTakesOverWhenItIsGone) {
  auto a = elector("a");
  loop_.advance(milliseconds(10));
  auto b = elector("b");
  loop_.advance(seconds(60));
  EXPECT_TRUE(a->leader());
  EXPECT_FALSE(b->leader());
  a.reset();                   // the holder died
  loop_.advance(seconds(12));  // its last renewal was up to 2.4 s earlier
  EXPECT_FALSE(b->leader());
  loop_.advance(seconds(8));
  EXPECT_TRUE(b->leader());
}

// The whole host was frozen, so no process renewed. None may take the Lease over because of that.
TEST_F(LeaseTest, APauseOfAllIsNoReasonToTakeOver) {
  std::vector<std::string> changes;
  const auto tell = [&](const std::string& name) {
    return std::make_unique<LeaseElector>(
        loop_, store_, random_, LeaseConfig{{"causeway-system", "x"}, name},
        [&changes, name](bool leads) {
          changes.push_back(name + (leads ? " leads" : " does not"));
        });
  };
  for (int phase = 0; phase < 40; ++phase) {
    auto a = tell("a");
    loop_.advance(milliseconds(10));
    auto b = tell("b");
    loop_.advance(seconds(20) + milliseconds(100) * phase);
    ASSERT_TRUE(a->leader());
    changes.clear();
    loop_.pause(seconds(20));
    for (int i = 0; i < 500; ++i) {
      loop_.advance(milliseconds(10));
      EXPECT_FALSE(a->leader() && b->leader());
    }
    EXPECT_TRUE(a->leader());
    EXPECT_EQ(std::count(changes.begin(), changes.end(), "b leads"), 0);
    bool done = false;
    a->release([&] { done = true; });
    b.reset();
    loop_.advance(seconds(1));
    ASSERT_TRUE(done);
  }
}

TEST_F(LeaseTest, AHolderWhoseLeaseWasTakenFromItSeesThat) {
  auto a = elector("a");
  loop_.advance(seconds(5));
  ASSERT_TRUE(a->leader());
  auto lease = store_.must_get<Lease>({"causeway-system", "x"});
  lease.holder = "b";
  lease.renewed = loop_.wall_now();
  store_.put(lease);
  loop_.advance(seconds(6));
  EXPECT_FALSE(a->leader());
  EXPECT_EQ(store_.must_get<Lease>({"causeway-system", "x"}).holder, "b");
}

TEST_F(LeaseTest, AReleaseHandsOverAtOnce) {
  auto a = elector("a");
  loop_.advance(milliseconds(10));
  auto b = elector("b");
  loop_.advance(seconds(5));
  bool done = false;
  a->release([&] { done = true; });
  loop_.advance(seconds(3));
  EXPECT_TRUE(done);
  EXPECT_FALSE(a->leader());
  EXPECT_TRUE(b->leader());
}

TEST_F(LeaseTest, AHolderThatCannotRenewStepsDownBeforeAnotherMayStart) {
  auto a = elector("a");
  loop_.advance(seconds(1));
  ASSERT_TRUE(a->leader());
  store_.unavailable({Errc::kUnavailable, "down"});
  loop_.advance(seconds(11));
  EXPECT_FALSE(a->leader());
  store_.available();
  loop_.advance(seconds(3));
  EXPECT_TRUE(a->leader());
}

TEST_F(LeaseTest, AWrongClockOfTheHolderDoesNotMatter) {
  Lease lease;
  lease.meta.key = {"causeway-system", "x"};
  lease.holder = "other";
  lease.duration_seconds = 15;
  lease.renewed = loop_.wall_now() - std::chrono::hours(5);
  store_.put(lease);
  auto a = elector("a");
  loop_.advance(seconds(10));
  EXPECT_FALSE(a->leader());  // it has been watched for 10 s only
  loop_.advance(seconds(8));
  EXPECT_TRUE(a->leader());
}

}  // namespace
}  // namespace cw::api
