#include "base/status_listener.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <vector>

#include "tests/base/test_host.h"

namespace cw {
namespace {

sockaddr_in at(const char* address, std::uint16_t port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(port);
  EXPECT_EQ(::inet_pton(AF_INET, address, &out.sin_addr), 1);
  return out;
}

// Whether the connection is established; with `wait` within 5 s.
bool connected(const UniqueFd& fd, const sockaddr_in& to, bool wait) {
  const timeval limit{wait ? 5 : 0, 0};
  EXPECT_EQ(::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit), 0);
  return ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
}

// The clients whose connections wait at the listener.
std::vector<std::string> waiting(const UniqueFd& listener) {
  std::vector<std::string> found;
  while (true) {
    sockaddr_in from{};
    socklen_t size = sizeof from;
    const UniqueFd fd(::accept4(listener.get(), reinterpret_cast<sockaddr*>(&from), &size,
                                SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd) return found;
    found.emplace_back(::inet_ntoa(from.sin_addr));  // NOLINT(concurrency-mt-unsafe)
  }
}

// No thread accepts. If both shared a queue, the host's own connections would find it full.
TEST(StatusListener, StrangersThatFillTheirQueueKeepNoConnectionOfTheHostOut) {
  TestHost here;
  TestHost stranger;
  here.shell("ip link add eth0 type veth peer name eth0 netns " + std::to_string(stranger.tid()));
  here.shell("ip addr add 192.0.2.1/24 dev eth0 && ip link set eth0 up");
  here.shell("echo 8 > /proc/sys/net/core/somaxconn");
  stranger.shell("ip addr add 192.0.2.2/24 dev eth0 && ip link set eth0 up");
  StatusListeners listeners;
  here.in([&] {
    auto made = listen_for_status({IpAddress::v4({}), 0});
    ASSERT_TRUE(made) << made.error().text;
    listeners = std::move(*made);
  });
  ASSERT_TRUE(listeners.own);
  std::vector<UniqueFd> many;
  stranger.in([&] {
    for (int i = 0; i < 40; ++i) {
      many.emplace_back(
          ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | (i == 0 ? 0 : SOCK_NONBLOCK), 0));
      // The first connection waits until the new cable carries packets.
      const bool there = connected(many.back(), at("192.0.2.1", listeners.port()), i == 0);
      EXPECT_TRUE(there || i != 0);
    }
  });
  here.in([&] {
    for (const auto* address : {"192.0.2.1", "127.0.0.1"}) {
      const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      EXPECT_TRUE(connected(fd, at(address, listeners.port()), true)) << address;
    }
    EXPECT_EQ(waiting(listeners.own), (std::vector<std::string>{"192.0.2.1", "127.0.0.1"}));
    const auto others = waiting(listeners.others);
    EXPECT_FALSE(others.empty());
    EXPECT_EQ(others, std::vector<std::string>(others.size(), "192.0.2.2"));
  });
}

}  // namespace
}  // namespace cw
