// Tracked flows that were translated are forgotten, all others stay. On Linux, in network
// namespaces of the test's own.
#include "netlink/conntrack/conntrack.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace cw::netlink {
namespace {

void run(const std::string& command) { EXPECT_EQ(std::system(command.c_str()), 0) << command; }

std::string output(const std::string& command) {
  std::string text;
  FILE* pipe = popen(command.c_str(), "r");
  std::array<char, 512> buffer{};
  while (pipe != nullptr && fgets(buffer.data(), buffer.size(), pipe) != nullptr) {
    text += buffer.data();
  }
  if (pipe != nullptr) pclose(pipe);
  return text;
}

// This namespace is a node that masquerades packets to 198.51.100.0/24 or 2001:db8:2::/64. Packets
// that it sends from 10.1.0.1 or fd01::1 are tracked.
class Flows : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(unshare(CLONE_NEWNET), 0) << "needs root";
    run("ip link set lo up");
    run("ip link add veth0 type veth peer name veth1");
    run("ip link set veth0 up; ip link set veth1 up");
    run("ip addr add 192.0.2.1/24 dev veth0; ip addr add 2001:db8:1::1/64 dev veth0 nodad");
    run("ip addr add 10.1.0.1/32 dev lo; ip addr add fd01::1/128 dev lo nodad");
    for (const auto* to : {"198.51.100.0/24 via 192.0.2.2", "203.0.113.0/24 via 192.0.2.2"}) {
      run(std::string("ip route add ") + to);
    }
    run("ip neigh add 192.0.2.2 lladdr 02:00:00:00:00:02 dev veth0");
    run("ip route add 2001:db8:2::/64 via 2001:db8:1::2");
    run("ip neigh add 2001:db8:1::2 lladdr 02:00:00:00:00:02 dev veth0");
    run("nft 'table inet t { chain p { type nat hook postrouting priority srcnat; "
        "ip saddr 10.1.0.1 masquerade; ip6 saddr fd01::1 masquerade; }; }'");
  }
  static void send(const std::string& source, const std::string& to) {
    run("echo x | socat -u - UDP-SENDTO:" + to + ":9,bind=" + source);
  }
  static std::string flows() {
    return output("conntrack -L 2>/dev/null; conntrack -L -f ipv6 2>/dev/null");
  }
  static Prefix p(const char* text) { return *Prefix::parse(text); }
};

TEST_F(Flows, WithTranslatedSourcesAreForgottenForTheGivenPrefixesOnly) {
  send("10.1.0.1:4001", "198.51.100.7");      // translated, to a remote prefix
  send("192.0.2.1:4002", "198.51.100.7");     // not translated
  send("10.1.0.1:4003", "203.0.113.7");       // translated, to another destination
  send("[fd01::1]:4004", "[2001:db8:2::7]");  // translated, IPv6
  const auto before = flows();
  for (const auto* port : {"sport=4001", "sport=4002", "sport=4003", "sport=4004"}) {
    ASSERT_NE(before.find(port), std::string::npos) << before;
  }
  const Prefix remotes[] = {p("198.51.100.0/24"), p("2001:db8:2::/64")};
  const auto forgotten = forget_translated_flows(remotes);
  ASSERT_TRUE(forgotten) << forgotten.error().text;
  EXPECT_EQ(*forgotten, 2U);
  const auto after = flows();
  EXPECT_EQ(after.find("sport=4001"), std::string::npos) << after;
  EXPECT_NE(after.find("sport=4002"), std::string::npos) << after;
  EXPECT_NE(after.find("sport=4003"), std::string::npos) << after;
  EXPECT_EQ(after.find("sport=4004"), std::string::npos) << after;
  EXPECT_EQ(*forget_translated_flows(remotes), 0U);
}

TEST_F(Flows, WithoutPrefixesNothingIsForgotten) {
  send("10.1.0.1:4001", "198.51.100.7");
  EXPECT_EQ(*forget_translated_flows({}), 0U);
  EXPECT_NE(flows().find("sport=4001"), std::string::npos);
}

}  // namespace
}  // namespace cw::netlink
