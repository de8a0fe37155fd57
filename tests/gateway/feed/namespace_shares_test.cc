// Which namespace gives way when a remote cluster's limits are full.
#include "gateway/feed/namespace_shares.h"

#include <gtest/gtest.h>

#include "base/fake/sim_loop.h"
#include "gateway/feed/messages.h"

namespace cw::gateway {
namespace {

TEST(NamespaceShares, TheFullestGivesWayToOneWithinItsShare) {
  NamespaceShares shares({10, 1000});
  for (int i = 0; i < 7; ++i) shares.add("crowd", 10);
  for (int i = 0; i < 3; ++i) shares.add("other", 10);
  EXPECT_FALSE(shares.fits(1, 10));
  EXPECT_TRUE(shares.fits(0, 10)) << "an export that grows";
  EXPECT_EQ(shares.gives_way_to("data", 1, 10), "crowd");
  EXPECT_EQ(shares.gives_way_to("crowd", 1, 10), std::nullopt) << "over its share itself";
  EXPECT_EQ(shares.gives_way_to("data", 1, 900), std::nullopt) << "too large for any share";
  shares.remove("crowd", 10);
  EXPECT_TRUE(shares.fits(1, 10));
}

TEST(NamespaceShares, BytesCountLikeExports) {
  NamespaceShares shares({1000, 1000});
  shares.add("heavy", 900);
  EXPECT_EQ(shares.gives_way_to("data", 1, 200), "heavy");
  EXPECT_EQ(shares.gives_way_to("heavy", 0, 200), std::nullopt);
}

// The sender's estimate of sizes is never less than the size of its messages.
TEST(RecordBytes, AreAnUpperBoundOfTheMessage) {
  SeededRandom random(9);
  const auto text = [&](std::uint64_t most) { return std::string(1 + random.next() % most, 'x'); };
  for (int round = 0; round < 300; ++round) {
    api::ExportRecord record;
    record.cluster = "west";
    record.service = {text(63), text(63)};
    record.exported_at = WallTime(std::chrono::seconds(1'700'000'000));
    record.headless = true;
    for (auto n = random.next() % 5; n > 0; --n) {
      record.ports.push_back({text(15), "TCP", text(40), 65535, text(15)});
      record.port_sets.push_back({{text(15), "SCTP", text(40), 65535}});
    }
    record.cluster_ips = {"2001:db8::1234", "10.96.0.1"};
    record.ip_families = {"IPv4", "IPv6"};
    record.session_affinity = "ClientIP";
    record.session_affinity_timeout = 86400;
    record.internal_traffic_policy = "Cluster";
    record.traffic_distribution = "PreferClose";
    for (auto n = random.next() % 9; n > 0; --n) {
      record.labels[text(60)] = text(60);
      record.annotations[text(300)] = text(4000);
    }
    for (auto n = random.next() % 40; n > 0; --n) {
      record.endpoints.push_back({{*IpAddress::parse("10.1.2.3"), *IpAddress::parse("fd00::1")},
                                  text(63),
                                  text(63),
                                  true,
                                  true,
                                  true,
                                  63,
                                  text(63)});
    }
    const auto bytes = encode_statement(record).size();
    EXPECT_GE(api::record_bytes(record), bytes);
    EXPECT_LE(api::record_bytes(record), 2 * bytes + 200);
  }
}

}  // namespace
}  // namespace cw::gateway
