#include "discovery/config.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

namespace cw::discovery {
namespace {

Result<Config> parse(const std::string& more) {
  std::string path = testing::TempDir() + "discovery-config-XXXXXX";
  const int fd = ::mkstemp(path.data());
  EXPECT_GE(fd, 0);
  ::close(fd);
  std::ofstream(path) << "store: dir:/s\nlisten: ['127.0.0.1:53']\n" << more;
  auto config = load_config(path);
  (void)::unlink(path.c_str());
  return config;
}

std::string problem_in(const std::string& more) {
  const auto config = parse(more);
  return config ? "" : config.error().text;
}

TEST(DiscoveryConfig, LimitsHaveDefaultsThatAWholeClustersResolverKeepsWithin) {
  const auto config = parse("");
  ASSERT_TRUE(config) << config.error().text;
  EXPECT_EQ(config->rate.per_second, 20000U);
  EXPECT_EQ(config->rate.slip, 1U) << "a dropped query is SERVFAIL at a forwarder's client";
  EXPECT_EQ(config->rate.v4_length, 32U);
  EXPECT_EQ(config->rate.v6_length, 64U);
  EXPECT_TRUE(config->rate.exempt.empty());
  EXPECT_EQ(config->tcp.idle, std::chrono::seconds(10));
  EXPECT_EQ(config->tcp.connections, 8192U);
  EXPECT_EQ(config->tcp.per_client, 4096U);
}

TEST(DiscoveryConfig, LimitsAreRead) {
  const auto config = parse(
      "rateLimit: {responses: 0, burst: 9, slip: 3, v4Length: 24, v6Length: 56, "
      "exempt: ['10.0.0.0/8', 'fd00::/8']}\ntcp: {idle: 30s, connections: 7, perClient: 5}\n");
  ASSERT_TRUE(config) << config.error().text;
  EXPECT_EQ(config->rate.per_second, 0U);
  EXPECT_EQ(config->rate.burst, 9U);
  EXPECT_EQ(config->rate.slip, 3U);
  EXPECT_EQ(config->rate.v4_length, 24U);
  EXPECT_EQ(config->rate.v6_length, 56U);
  EXPECT_EQ(config->rate.exempt.size(), 2U);
  EXPECT_EQ(config->tcp.idle, std::chrono::seconds(30));
  EXPECT_EQ(config->tcp.connections, 7U);
  EXPECT_EQ(config->tcp.per_client, 5U);
}

TEST(DiscoveryConfig, FurtherClientsOfTheDnsServerAreRead) {
  EXPECT_TRUE(parse("")->allow_from.empty());
  const auto config = parse("allowFrom: ['10.0.0.0/8', 'fd00::/8']\n");
  ASSERT_TRUE(config) << config.error().text;
  EXPECT_EQ(config->allow_from.size(), 2U);
  EXPECT_NE(problem_in("allowFrom: [x]\n").find("allowFrom"), std::string::npos);
}

TEST(DiscoveryConfig, AddressesOfTheNameServerAndTheTableOnDiskAreRead) {
  const auto plain = parse("");
  EXPECT_TRUE(plain->server_addresses.empty());
  EXPECT_TRUE(plain->table_file.empty());
  const auto config = parse(
      "serverAddresses: [10.96.0.53, 'fd00::53']\nservice: dns\ntableFile: /var/lib/x\n"
      "tableMaxAge: 1h\n");
  ASSERT_TRUE(config) << config.error().text;
  EXPECT_EQ(config->server_addresses.size(), 2U);
  EXPECT_EQ(config->service, "dns");
  EXPECT_EQ(config->table_file, "/var/lib/x");
  EXPECT_EQ(config->table_max_age, std::chrono::hours(1));
  for (const auto* bad : {"serverAddresses: [x]", "tableFile: x", "tableMaxAge: 1s",
                          "tableMaxAge: 1000h", "listen: ['127.0.0.1:54']"}) {
    const auto key = std::string(bad).substr(0, std::string(bad).find(':'));
    EXPECT_NE(problem_in(std::string(bad) + "\n").find(":3: " + key), std::string::npos) << bad;
  }
}

TEST(DiscoveryConfig, ProblemsInLimitsNameTheirKeyAndLine) {
  EXPECT_NE(problem_in("rateLimit: {v4Length: 33}\n").find(":3: "), std::string::npos);
  for (const auto* bad : {"v4Length: 33", "v6Length: 129", "responses: 10000001", "slip: -1",
                          "exempt: [x]", "perSecond: 5"}) {
    const auto key = std::string(bad).substr(0, std::string(bad).find(':'));
    EXPECT_NE(problem_in("rateLimit: {" + std::string(bad) + "}\n").find(key), std::string::npos)
        << bad;
  }
  for (const auto* bad : {"idle: 1ms", "idle: 1h", "connections: 0", "perClient: 0"}) {
    const auto key = std::string(bad).substr(0, std::string(bad).find(':'));
    EXPECT_NE(problem_in("tcp: {" + std::string(bad) + "}\n").find(key), std::string::npos) << bad;
  }
}

}  // namespace
}  // namespace cw::discovery
