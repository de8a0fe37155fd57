// The status endpoint, and strangers that misuse it.
#include "base/status_server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include "base/event_loop.h"
#include "base/http_request.h"
#include "base/unique_fd.h"
#include "tests/base/test_host.h"

namespace cw {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(HttpRequest, WhatACommonClientSendsIsUnderstood) {
  const auto curl = parse_http_request("GET /readyz HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n");
  ASSERT_TRUE(curl && *curl);
  EXPECT_EQ((*curl)->path, "/readyz");
  EXPECT_FALSE((*curl)->head);
  EXPECT_TRUE((*parse_http_request("HEAD / HTTP/1.0\r\n\r\n"))->head);
  EXPECT_EQ((*parse_http_request("GET /metrics?x=1 HTTP/1.1\r\n\r\n"))->path, "/metrics");
}

TEST(HttpRequest, PartsAreWaitedForAndTheRestIsRefused) {
  EXPECT_FALSE(*parse_http_request("GET / HTTP/1.1\r\nHost: x\r\n"));
  EXPECT_FALSE(*parse_http_request(""));
  EXPECT_FALSE(parse_http_request("POST / HTTP/1.1\r\n\r\n"));
  EXPECT_FALSE(parse_http_request("GET /\r\n\r\n"));
  EXPECT_FALSE(parse_http_request("\r\n\r\n"));
  EXPECT_EQ(parse_http_request(std::string(8192, 'a')).error().code, Errc::kTooLarge);
}

class StatusTest : public testing::Test {
 protected:
  void start(const StatusLimits& limits = {}) {
    auto made = StatusServer::listen(
        loop_, {*IpAddress::parse("127.0.0.1"), 0}, metrics_,
        [this] {
          ++rendered_;
          return reasons_;
        },
        limits);
    ASSERT_TRUE(made) << made.error().text;
    server_ = std::move(*made);
  }
  [[nodiscard]] UniqueFd connect(const std::string& from = "127.0.0.1") const {
    UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_storage at{};
    const auto own = Endpoint{*IpAddress::parse(from), 0}.to_sockaddr(at);
    EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&at), static_cast<socklen_t>(own)), 0);
    const auto size = Endpoint{*IpAddress::parse("127.0.0.1"), server_->port()}.to_sockaddr(at);
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&at), static_cast<socklen_t>(size)),
              0);
    return fd;
  }
  static void say(int fd, const std::string& text) {
    (void)!::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
  }
  // All bytes until the server closes; the loop does not turn meanwhile.
  static std::string hear(int fd, milliseconds limit) {
    std::string text;
    const auto end = std::chrono::steady_clock::now() + limit;
    for (;;) {
      const auto left =
          std::chrono::duration_cast<milliseconds>(end - std::chrono::steady_clock::now()).count();
      pollfd p{fd, POLLIN, 0};
      if (left <= 0 || ::poll(&p, 1, static_cast<int>(left)) <= 0) return text + "(timed out)";
      char buffer[4096];
      const auto n = ::recv(fd, buffer, sizeof buffer, 0);
      if (n <= 0) return text;
      text.append(buffer, static_cast<std::size_t>(n));
    }
  }
  // Another thread asks while the loop turns.
  std::string get(const std::string& path, const std::string& method = "GET") {
    std::string text;
    std::thread client([&] {
      const auto fd = connect();
      say(fd.get(), method + " " + path + " HTTP/1.1\r\nHost: x\r\n\r\n");
      text = hear(fd.get(), milliseconds(4000));
      loop_.post([this] { loop_.stop(); });
    });
    loop_.run();
    client.join();
    return text;
  }

  // All bytes that `fd` gets after its request, while the loop turns.
  std::string hear_turning(int fd) {
    std::string text;
    std::thread client([&] {
      text = hear(fd, milliseconds(4000));
      loop_.post([this] { loop_.stop(); });
    });
    loop_.run();
    client.join();
    return text;
  }
  // Waits until `count` connections have been closed for others.
  void wait_closed(int count) {
    const auto line = "causeway_status_connections_closed_total " + std::to_string(count) + "\n";
    const auto end = std::chrono::steady_clock::now() + seconds(10);
    while (metrics_.text().find(line) == std::string::npos) {
      ASSERT_LT(std::chrono::steady_clock::now(), end) << metrics_.text();
      std::this_thread::yield();
    }
  }
  std::vector<UniqueFd> idle_from(int first, int last) {
    std::vector<UniqueFd> all;
    for (int n = first; n <= last; ++n) all.push_back(connect("127.0.0." + std::to_string(n)));
    return all;
  }

  EventLoop loop_;
  Metrics metrics_;
  std::vector<std::string> reasons_;
  int rendered_ = 0;
  std::unique_ptr<StatusServer> server_;
};

TEST_F(StatusTest, AnswersItsThreePages) {
  start();
  metrics_.counter("causeway_things_total", "Things.").add(3);
  EXPECT_NE(get("/metrics").find("causeway_things_total 3"), std::string::npos);
  EXPECT_NE(get("/healthz").find("200 OK"), std::string::npos);
  EXPECT_NE(get("/readyz").find("\r\n\r\nok\n"), std::string::npos);
  reasons_ = {"the first", "the second"};
  const auto not_ready = get("/readyz");
  EXPECT_NE(not_ready.find("503"), std::string::npos);
  EXPECT_NE(not_ready.find("the first\nthe second\n"), std::string::npos);
  EXPECT_NE(get("/other").find("404"), std::string::npos);
  EXPECT_NE(get("/metrics", "POST").find("400"), std::string::npos);
  EXPECT_EQ(get("/readyz", "HEAD").find("the first"), std::string::npos);
}

TEST_F(StatusTest, ATakenPortIsSaid) {
  start();
  const auto again = StatusServer::listen(loop_, {*IpAddress::parse("127.0.0.1"), server_->port()},
                                          metrics_, [] { return std::vector<std::string>(); });
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Errc::kUnavailable);
}

// Idle connections of strangers once took all descriptors of the process.
TEST_F(StatusTest, ThousandsOfIdleConnectionsKeepNoClientOut) {
  start();
  std::vector<UniqueFd> idle;
  for (int i = 0; i < 900; ++i) idle.push_back(connect());
  EXPECT_NE(get("/readyz").find("200 OK"), std::string::npos);
  int open = 0;
  for (const auto& fd : idle) {
    pollfd p{fd.get(), POLLIN, 0};
    open += ::poll(&p, 1, 0) == 0 ? 1 : 0;
  }
  EXPECT_LE(open, 160) << "those accepted, and those that still wait in the kernel's queue";
}

const char* const kAsk = "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n";

// One idle connection from each of 32 addresses once made the server close the kubelet's own.
TEST_F(StatusTest, StrangersOfManyAddressesTakeNoPlaceOfTheHostItself) {
  start();
  const auto idle = idle_from(2, 33);
  const auto probe = connect("127.0.0.1");
  const auto one_more = idle_from(34, 34);
  wait_closed(33 - 24);
  say(probe.get(), kAsk);
  EXPECT_NE(hear_turning(probe.get()).find("200 OK"), std::string::npos);
}

TEST_F(StatusTest, OfEqualStrangersTheOldestIdleOneMakesRoom) {
  start();
  const auto before = idle_from(2, 11);
  const auto asks = connect("127.0.0.100");
  say(asks.get(), kAsk);
  const auto after = idle_from(12, 60);
  wait_closed(10 + 1 + 49 - 24);
  EXPECT_NE(hear_turning(asks.get()).find("200 OK"), std::string::npos);
  const auto is_open = [](const UniqueFd& fd) {
    pollfd p{fd.get(), POLLIN, 0};
    return ::poll(&p, 1, 0) == 0;
  };
  EXPECT_FALSE(std::any_of(before.begin(), before.end(), is_open));
  EXPECT_EQ(std::count_if(after.begin(), after.end(), is_open), 23);
  EXPECT_TRUE(std::all_of(after.end() - 23, after.end(), is_open));
}

TEST_F(StatusTest, TheHostsOwnIdleConnectionsMakeRoomForEachOther) {
  start();
  std::vector<UniqueFd> idle;
  for (int i = 0; i < 40; ++i) idle.push_back(connect());
  wait_closed(40 - 8);
  const auto strangers = idle_from(2, 25);
  EXPECT_NE(get("/readyz").find("200 OK"), std::string::npos);
  wait_closed(40 - 8 + 1);
}

TEST_F(StatusTest, AFloodOfRequestsRendersAPageAFewTimesOnly) {
  start();
  std::thread flood([&] {
    for (int i = 0; i < 400; ++i) {
      const auto fd = connect();
      say(fd.get(), "GET /readyz HTTP/1.1\r\n\r\n");
      if (i % 20 == 0) (void)hear(fd.get(), milliseconds(1000));
    }
    loop_.post([this] { loop_.stop(); });
  });
  const auto begun = loop_.now();
  loop_.run();
  flood.join();
  const auto most = (loop_.now() - begun) / milliseconds(50) + 2;
  EXPECT_LE(rendered_, most);
}

TEST_F(StatusTest, SlowAndLargeRequestsAreCutOff) {
  StatusLimits limits;
  limits.request = milliseconds(300);
  start(limits);
  const auto slow = connect();
  say(slow.get(), "GET / HT");
  EXPECT_EQ(hear(slow.get(), milliseconds(3000)), "");
  const auto large = connect();
  say(large.get(), std::string(20'000, 'x'));
  EXPECT_EQ(hear(large.get(), milliseconds(3000)).find("HTTP/1.1 400"), 0U);
}

TEST_F(StatusTest, ALoopThatStandsIsSaidToStand) {
  StatusLimits limits;
  limits.loop = milliseconds(100);
  start(limits);
  const auto fd = connect();
  say(fd.get(), "GET /healthz HTTP/1.1\r\n\r\n");
  EXPECT_EQ(hear(fd.get(), milliseconds(3000)).find("HTTP/1.1 503"), 0U);
}

TEST_F(StatusTest, EndsWhileClientsWait) {
  start();
  const auto idle = connect();
  const auto asks = connect();
  say(asks.get(), "GET /healthz HTTP/1.1\r\n\r\n");
  server_.reset();
  SUCCEED();
}

std::string readyz(const Endpoint& server) {
  const UniqueFd fd(
      ::socket(server.address.is_v4() ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval limit{5, 0};
  (void)::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  sockaddr_storage at{};
  const auto size = server.to_sockaddr(at);
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&at), static_cast<socklen_t>(size)) != 0) {
    return "refused";
  }
  const std::string_view request = "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n";
  (void)!::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL);
  std::string text;
  char bytes[1024];
  for (ssize_t n = 0; (n = ::recv(fd.get(), bytes, sizeof bytes, 0)) > 0;) {
    text.append(bytes, static_cast<std::size_t>(n));
  }
  return text;
}

// Hosts have either family or both.
TEST(StatusAddresses, EveryAddressOfTheHostIsBothFamilies) {
  EventLoop loop;
  Metrics metrics;
  const auto server = StatusServer::listen(loop, {IpAddress::v6({}), 0}, metrics,
                                           [] { return std::vector<std::string>{}; });
  ASSERT_TRUE(server) << server.error().text;
  for (const auto* host : {"127.0.0.1", "::1"}) {
    const auto address = *IpAddress::parse(host);
    const UniqueFd fd(
        ::socket(address.is_v4() ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_storage at{};
    const auto size = Endpoint{address, (*server)->port()}.to_sockaddr(at);
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&at), static_cast<socklen_t>(size)),
              0)
        << host;
  }
}

// A resolver that leaves out families without an address on the host (AI_ADDRCONFIG) finds none
// here.
TEST(StatusAddresses, AreServedOnAHostWithIPv6Only) {
  TestHost host;
  host.shell("ip link add eth0 type veth peer name eth1");
  host.shell("ip link set eth0 up && ip link set eth1 up");
  host.shell("ip -6 address add fd00::1/64 dev eth0 nodad");
  struct Case {
    const char* listen;
    std::vector<const char*> answers;
  };
  for (const auto& one :
       {Case{"127.0.0.1:0", {"127.0.0.1"}}, Case{"0.0.0.0:0", {"127.0.0.1"}},
        Case{"[::1]:0", {"::1"}}, Case{"[::]:0", {"127.0.0.1", "::1", "fd00::1"}}}) {
    host.in([&] {
      EventLoop loop;
      Metrics metrics;
      const auto server = StatusServer::listen(loop, *Endpoint::parse(one.listen), metrics,
                                               [] { return std::vector<std::string>{"why not"}; });
      ASSERT_TRUE(server) << one.listen << ": " << server.error().text;
      for (const auto* address : one.answers) {
        std::string answer;
        std::thread client([&] {  // on the same host
          answer = readyz({*IpAddress::parse(address), (*server)->port()});
          loop.post([&] { loop.stop(); });
        });
        loop.run();
        client.join();
        EXPECT_NE(answer.find("503"), std::string::npos) << one.listen << " " << address;
        EXPECT_NE(answer.find("why not"), std::string::npos) << one.listen << " " << address;
      }
    });
  }
}

}  // namespace
}  // namespace cw
