// The exports of one namespace must not crowd out those of another one.
#include "api/mcs/shares.h"

#include <gtest/gtest.h>

#include "api/mcs/export_book.h"
#include "base/fake/sim_loop.h"

namespace cw::api {
namespace {

WallTime at(std::size_t seconds) { return WallTime(std::chrono::seconds(seconds)); }

void add(ExportWeights& all, const std::string& ns, std::size_t count, std::size_t bytes,
         std::size_t since = 0) {
  for (std::size_t i = 0; i < count; ++i) {
    all[{ns, "s" + std::to_string(100'000 + i)}] = {bytes, at(since + i)};
  }
}

std::map<std::string, std::size_t> by_namespace(const std::set<ObjectKey>& out) {
  std::map<std::string, std::size_t> counts;
  for (const auto& key : out) ++counts[key.ns];
  return counts;
}

using Counts = std::map<std::string, std::size_t>;

TEST(Shares, NothingIsLeftOutWhileAllFit) {
  ExportWeights all;
  add(all, "a", 60, 10);
  add(all, "b", 40, 10);
  EXPECT_TRUE(crowded_out(all, {100, 1000}).empty());
}

TEST(Shares, ANamespaceUnderItsShareIsAlwaysAnnounced) {
  ExportWeights all;
  add(all, "crowd", 140, 10);
  add(all, "data", 2, 10, 1'000'000);  // the youngest of all
  EXPECT_EQ(by_namespace(crowded_out(all, {100, 10'000})), (Counts{{"crowd", 42}}));
  EXPECT_EQ(by_namespace(crowded_out(all, {1000, 1000})), (Counts{{"crowd", 42}})) << "by bytes";
  add(all, "crowd2", 140, 10);
  EXPECT_EQ(by_namespace(crowded_out(all, {99, 10'000})).count("data"), 0U);
}

TEST(Shares, TheOldestOfANamespaceStay) {
  ExportWeights all;
  add(all, "a", 10, 10);
  add(all, "b", 10, 10);
  EXPECT_EQ(crowded_out(all, {18, 1000}),
            (std::set<ObjectKey>{{"a", "s100009"}, {"b", "s100009"}}));
}

TEST(Shares, OneThatIsTooLargeIsSkippedForOthers) {
  ExportWeights all;
  all[{"a", "huge"}] = {900, at(0)};
  add(all, "a", 5, 10, 5);
  add(all, "b", 5, 100);
  EXPECT_EQ(crowded_out(all, {100, 1000}), (std::set<ObjectKey>{{"a", "huge"}}));
}

TEST(Shares, TheirLawsHoldForAnyExports) {
  SeededRandom random(5);
  for (int round = 0; round < 200; ++round) {
    ExportWeights all;
    for (auto n = random.next() % 60; n > 0; --n) {
      const auto draw = random.next();
      all[{std::string(1, static_cast<char>('a' + draw % 5)), std::to_string((draw >> 8U) % 40)}] =
          {1 + (draw >> 16U) % 50, at((draw >> 32U) % 10)};
    }
    const ShareLimits limits{1 + random.next() % 40, 1 + random.next() % 700};
    const auto out = crowded_out(all, limits);
    std::map<std::string, ShareLimits> used;
    ShareLimits kept{0, 0};
    for (const auto& [key, weight] : all) {
      ++used[key.ns].exports;
      used[key.ns].bytes += weight.bytes;
      if (out.count(key) != 0) continue;
      ++kept.exports;
      kept.bytes += weight.bytes;
    }
    EXPECT_LE(kept.exports, limits.exports);
    EXPECT_LE(kept.bytes, limits.bytes);
    for (const auto& key : out) {
      const auto& whole = used.at(key.ns);
      EXPECT_TRUE(whole.exports > limits.exports / used.size() ||
                  whole.bytes > limits.bytes / used.size())
          << key.to_string() << " of a namespace within its share";
    }
    EXPECT_EQ(crowded_out(all, limits), out);
  }
}

// The export book of a cluster that may announce up to `limits`.
struct World {
  explicit World(const ShareLimits& limits) : book({}, limits) {}
  void put(const std::string& ns, const std::string& name, std::size_t created) {
    ServiceExport wanted;
    wanted.meta.key = {ns, name};
    wanted.meta.created = at(created);
    exports[wanted.meta.key] = std::make_shared<const ServiceExport>(wanted);
    Service service;
    service.meta.key = {ns, name};
    service.spec.ports = {{"web", "TCP", "", 80, ""}};
    services[service.meta.key] = std::make_shared<const Service>(service);
  }
  std::string update() {
    std::string text;
    for (const auto& change : book.update("east", exports, services, {}, {})) {
      text += (text.empty() ? "" : " ") + std::string(change.record == nullptr ? "-" : "+") +
              change.service.to_string();
    }
    return text;
  }
  ExportBook::Items<ServiceExport> exports;
  ExportBook::Items<Service> services;
  ExportBook book;
};

TEST(Shares, AnExportThatIsNotAnnouncedSaysSoAndComesBack) {
  World world({4, 1U << 20U});
  for (std::size_t i = 0; i < 4; ++i) world.put("crowd", "c" + std::to_string(i), i);
  EXPECT_EQ(world.update(), "+crowd/c0 +crowd/c1 +crowd/c2 +crowd/c3");
  world.put("data", "pg", 99);
  EXPECT_EQ(world.update(), "-crowd/c3 +data/pg");
  const auto& left_out = world.book.entries().at({"crowd", "c3"});
  EXPECT_EQ(left_out.record, nullptr);
  EXPECT_EQ(left_out.valid.status, ConditionStatus::kFalse);
  EXPECT_EQ(left_out.valid.reason, "OverShare");
  EXPECT_NE(left_out.valid.message.find("namespace crowd exports 4 Services"), std::string::npos)
      << left_out.valid.message;
  EXPECT_EQ(world.book.judged().count({"crowd", "c3"}), 1U) << "so that its condition is written";
  EXPECT_EQ(world.update(), "");
  world.exports.erase({"crowd", "c0"});
  EXPECT_EQ(world.update(), "-crowd/c0 +crowd/c3");
  EXPECT_EQ(world.book.entries().at({"crowd", "c3"}).valid.reason, "Valid");
}

// The gateway's book keeps no records, and gives the same result.
TEST(Shares, ABookThatKeepsNothingTellsTheSame) {
  World world({4, 1U << 20U});
  world.book.keep_nothing();
  for (std::size_t i = 0; i < 4; ++i) world.put("crowd", "c" + std::to_string(i), i);
  EXPECT_EQ(world.update(), "+crowd/c0 +crowd/c1 +crowd/c2 +crowd/c3");
  world.put("data", "pg", 99);
  EXPECT_EQ(world.update(), "-crowd/c3 +data/pg");
  world.exports.erase({"crowd", "c0"});
  EXPECT_EQ(world.update(), "-crowd/c0 +crowd/c3");
}

}  // namespace
}  // namespace cw::api
