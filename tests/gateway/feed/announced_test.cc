// Announcements as differences: what the sender keeps, and what the receiver makes of it.
#include "gateway/feed/announced.h"

#include <gtest/gtest.h>

#include <random>

#include "gateway/feed/node_log.h"

namespace cw::gateway {
namespace {

Prefix p(std::string_view text) { return *Prefix::parse(text); }
std::vector<Prefix> prefixes(std::initializer_list<std::string_view> texts) {
  std::vector<Prefix> all;
  for (const auto text : texts) all.push_back(p(text));
  return all;
}
AnnouncedChange change(std::uint64_t number, std::uint64_t since, NodePrefixes nodes) {
  return {"east", number, since, std::move(nodes), {}};
}

TEST(AnnouncedOwners, TakeDifferencesOfWhatCameBefore) {
  AnnouncedOwners owners;
  EXPECT_FALSE(owners.take(change(2, 1, {}))) << "nothing came before";
  ASSERT_TRUE(owners.take(change(4, 0, {{"a", prefixes({"10.1.0.0/24"})}})));
  const auto next = owners.take(change(7, 4, {{"b", prefixes({"10.1.1.0/24"})}, {"c", {}}}));
  ASSERT_TRUE(next);
  EXPECT_EQ(next->nodes, (NodePrefixes{{"b", prefixes({"10.1.1.0/24"})}, {"c", {}}}));
  EXPECT_EQ(owners.whole().nodes,
            (NodePrefixes{{"a", prefixes({"10.1.0.0/24"})}, {"b", prefixes({"10.1.1.0/24"})}}));
  EXPECT_EQ(owners.whole().number, 7U);
  ASSERT_TRUE(owners.take(change(9, 0, {{"c", prefixes({"10.1.0.0/24"})}}))) << "all again";
  EXPECT_EQ(owners.whole().nodes, (NodePrefixes{{"c", prefixes({"10.1.0.0/24"})}}));
}

TEST(AnnouncedOwners, AfterARefusalOnlyAWholeAnnouncementIsTaken) {
  AnnouncedOwners owners;
  ASSERT_TRUE(owners.take(change(4, 0, {{"a", prefixes({"10.1.0.0/24"})}})));
  const auto gap = owners.take(change(9, 8, {{"a", {}}}));
  ASSERT_FALSE(gap);
  EXPECT_EQ(gap.error().text, "announcement: changes number 8, and the last one here is 4");
  EXPECT_FALSE(owners.take(change(5, 4, {{"a", {}}})));
  EXPECT_EQ(owners.whole().nodes.size(), 1U) << "nothing has changed";
  EXPECT_TRUE(owners.take(change(11, 0, {})));
}

TEST(AnnouncedOwners, APrefixThatMovesIsTakenFromTheNodeThatHadIt) {
  AnnouncedOwners owners;
  ASSERT_TRUE(owners.take(change(
      1, 0, {{"a", prefixes({"10.1.0.0/24", "10.1.1.0/24"})}, {"b", prefixes({"10.1.2.0/24"})}})));
  // In one message with what the node gives up.
  ASSERT_TRUE(owners.take(change(
      2, 1, {{"a", prefixes({"10.1.0.0/24"})}, {"b", prefixes({"10.1.1.0/24", "10.1.2.0/24"})}})));
  // Without it: the newer word counts.
  const auto robs = owners.take(change(3, 2, {{"c", prefixes({"10.1.0.0/24", "10.1.2.0/24"})}}));
  ASSERT_TRUE(robs);
  const NodePrefixes now{{"b", prefixes({"10.1.1.0/24"})},
                         {"c", prefixes({"10.1.0.0/24", "10.1.2.0/24"})}};
  EXPECT_EQ(owners.whole().nodes, now);
  auto with_gone = now;
  with_gone["a"] = {};
  EXPECT_EQ(robs->nodes, with_gone) << "who merges it hears of the losses, too";
}

TEST(AnnouncedOwners, TwoNodesWithOnePrefixAreRefused) {
  AnnouncedOwners owners;
  const auto both = owners.take(
      change(1, 0, {{"a", prefixes({"10.1.0.0/24"})}, {"b", prefixes({"10.1.0.0/24"})}}));
  ASSERT_FALSE(both);
  EXPECT_EQ(both.error().text, "announcement: two nodes have prefix 10.1.0.0/24");
  EXPECT_TRUE(owners.take(
      change(1, 0, {{"a", prefixes({"10.1.0.0/24"})}, {"b", prefixes({"10.1.0.7/32"})}})))
      << "a borrowed address is another prefix";
}

TEST(AnnouncedOwners, HaveALimitForAllTogether) {
  AnnouncedOwners owners;
  std::uint64_t number = 0;
  const auto add = [&](std::size_t node, std::size_t count) {
    std::vector<Prefix> some;
    for (std::size_t n = 0; n < count; ++n) {
      some.push_back(Prefix::host(
          IpAddress::v4({10, static_cast<std::uint8_t>(node / 200),
                         static_cast<std::uint8_t>(node % 200), static_cast<std::uint8_t>(n)})));
    }
    const auto taken =
        owners.take(change(number + 1, number, {{"n" + std::to_string(node), some}}));
    if (taken) ++number;
    return taken.has_value();
  };
  for (std::size_t node = 0; node < 50; ++node) ASSERT_TRUE(add(node, 200));
  ASSERT_TRUE(add(49, 200)) << "the same again";
  EXPECT_FALSE(add(50, 1)) << "10,001";
  EXPECT_TRUE(owners.take(change(number = 1, 0, {})));
  for (std::size_t node = 0; node < kMaxAnnouncedNodes; ++node) ASSERT_TRUE(add(node, 1));
  EXPECT_FALSE(add(kMaxAnnouncedNodes, 1));
}

TEST(NodeLog, TellsWhatChangedAndAllAtTheStart) {
  NodeLog log;
  std::uint64_t since = 0;
  EXPECT_TRUE(log.set({{"a", prefixes({"10.1.0.0/24"})}, {"b", prefixes({"10.1.1.0/24"})}}, 5));
  EXPECT_FALSE(log.set({{"a", prefixes({"10.1.0.0/24"})}, {"b", prefixes({"10.1.1.0/24"})}}, 6));
  EXPECT_EQ(log.after(0, since).size(), 2U);
  EXPECT_EQ(since, 0U);
  EXPECT_TRUE(log.set({{"a", prefixes({"10.1.0.0/24", "10.1.2.0/24"})}}, 7));
  EXPECT_EQ(log.after(5, since),
            (NodePrefixes{{"a", prefixes({"10.1.0.0/24", "10.1.2.0/24"})}, {"b", {}}}));
  EXPECT_EQ(since, 5U);
  EXPECT_TRUE(log.after(7, since).empty());
  EXPECT_EQ(log.after(0, since), (NodePrefixes{{"a", prefixes({"10.1.0.0/24", "10.1.2.0/24"})}}));
}

TEST(NodeLog, WhileTwoNodesHaveAPrefixTheOneThatCameLastOwnsIt) {
  NodeLog log;
  std::uint64_t since = 0;
  const auto block = prefixes({"10.1.0.0/24"});
  EXPECT_TRUE(log.set({{"z", block}}, 1));
  EXPECT_TRUE(log.set({{"a", block}, {"z", block}}, 2));
  EXPECT_EQ(log.after(1, since), (NodePrefixes{{"a", block}, {"z", {}}}));
  // Another change of the node that lost it gives nothing back.
  EXPECT_TRUE(log.set({{"a", block}, {"z", prefixes({"10.1.0.0/24", "10.1.1.0/24"})}}, 3));
  EXPECT_EQ(log.after(2, since), (NodePrefixes{{"z", prefixes({"10.1.1.0/24"})}}));
  EXPECT_TRUE(log.set({{"z", prefixes({"10.1.0.0/24", "10.1.1.0/24"})}}, 4)) << "it is given back";
  EXPECT_EQ(log.after(3, since),
            (NodePrefixes{{"a", {}}, {"z", prefixes({"10.1.0.0/24", "10.1.1.0/24"})}}));
}

TEST(NodeLog, AStreamThatMissedForgottenTombstonesHearsAll) {
  NodeLog log;
  NodePrefixes nodes{{"stays", prefixes({"10.0.0.0/24"})}};
  for (unsigned n = 0; n < NodeLog::kMaxGone + 10; ++n) {
    nodes["n" + std::to_string(n)] = {Prefix::host(IpAddress::v4(
        {10, 1, static_cast<std::uint8_t>(n / 250), static_cast<std::uint8_t>(n % 250)}))};
  }
  EXPECT_TRUE(log.set(nodes, 1));
  std::uint64_t version = 1;
  while (nodes.size() > 1) {
    nodes.erase(nodes.begin());
    EXPECT_TRUE(log.set(nodes, ++version));
  }
  std::uint64_t since = 0;
  EXPECT_EQ(log.after(1, since).size(), 1U);
  EXPECT_EQ(since, 0U);
  EXPECT_EQ(log.after(version - 5, since).size(), 5U);
  EXPECT_EQ(since, version - 5);
}

// Blocks come, go and move at random; nodes overlap for a while; a stream is slow and sometimes
// starts again. In the end the receiver has what the sender has, and each prefix once.
TEST(Announcements, TheReceiverHasWhatTheSenderHas) {
  std::mt19937 dice(11);
  NodeLog log;
  NodePrefixes nodes;
  AnnouncedOwners owners;
  Announcement merged;
  std::uint64_t heard = 0;
  for (std::uint64_t version = 1; version < 3000; ++version) {
    const auto node = "n" + std::to_string(dice() % 12);
    const auto block =
        *Prefix::of(IpAddress::v4({10, 1, static_cast<std::uint8_t>(dice() % 30), 0}),
                    dice() % 2 == 0 ? 24 : 32);
    auto& blocks = nodes[node];
    if (std::erase(blocks, block) == 0) blocks.push_back(block);
    if (blocks.empty()) nodes.erase(node);
    const bool changed = log.set(nodes, version);
    if (!changed || dice() % 3 == 0) continue;
    if (dice() % 50 == 0) heard = 0;
    auto next = change(version, 0, {});
    next.nodes = log.after(heard, next.since);
    auto taken = owners.take(std::move(next));
    ASSERT_TRUE(taken) << taken.error().text;
    merge(std::move(*taken), merged);
    heard = version;
    std::uint64_t since = 0;
    ASSERT_EQ(merged.nodes, log.after(0, since)) << version;
    ASSERT_EQ(owners.whole().nodes, merged.nodes);
    std::set<Prefix> said;
    std::set<Prefix> owned;
    for (const auto& [name, list] : nodes) said.insert(list.begin(), list.end());
    for (const auto& [name, list] : merged.nodes) {
      for (const auto& one : list) ASSERT_TRUE(owned.insert(one).second) << one.to_string();
    }
    ASSERT_EQ(owned, said);
  }
}

TEST(Announcements, MergedChangesAreOneChange) {
  auto first = change(5, 4, {{"a", prefixes({"10.1.0.0/24"})}, {"b", {}}});
  merge(change(6, 5, {{"b", prefixes({"10.1.1.0/24"})}, {"c", {}}}), first);
  EXPECT_EQ(
      first,
      change(6, 4,
             {{"a", prefixes({"10.1.0.0/24"})}, {"b", prefixes({"10.1.1.0/24"})}, {"c", {}}}));
  merge(change(7, 0, {{"d", prefixes({"10.1.2.0/24"})}}), first);
  EXPECT_EQ(first.nodes.size(), 1U);
  EXPECT_EQ(first.since, 0U);
}

}  // namespace
}  // namespace cw::gateway
