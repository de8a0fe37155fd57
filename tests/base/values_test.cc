#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "base/diff.h"
#include "base/event_loop.h"
#include "base/log.h"
#include "base/snapshot.h"
#include "base/status_server.h"
#include "base/unique_fd.h"

namespace cw {
namespace {

TEST(Diff, NamesWhatToAddChangeAndRemoveInKeyOrder) {
  const std::map<int, char> actual{{1, 'a'}, {2, 'b'}, {4, 'd'}};
  const std::map<int, char> desired{{0, 'z'}, {2, 'B'}, {4, 'd'}, {5, 'e'}};
  const auto plan = diff(actual, desired);
  EXPECT_EQ(plan.add, (std::vector<std::pair<int, char>>{{0, 'z'}, {5, 'e'}}));
  EXPECT_EQ(plan.change, (std::vector<std::pair<int, char>>{{2, 'B'}}));
  EXPECT_EQ(plan.remove, (std::vector<std::pair<int, char>>{{1, 'a'}}));
  EXPECT_TRUE(diff(desired, desired).empty());
}

TEST(Snapshot, ReadersSeeTheNewestWholeValue) {
  Snapshot<std::pair<int, int>> snapshot(std::make_shared<std::pair<int, int>>(0, 0));
  std::thread reader([&] {
    Snapshot<std::pair<int, int>>::Reader view(snapshot);
    int last = 0;
    while (last < 1000) {
      const auto& value = view.get();
      ASSERT_EQ(value.first, value.second);
      ASSERT_GE(value.first, last);
      last = value.first;
    }
  });
  for (int i = 1; i <= 1000; ++i) snapshot.publish(std::make_shared<std::pair<int, int>>(i, i));
  reader.join();
}

TEST(Error, ContextGrowsOutward) {
  const auto error =
      errno_error(EPERM, "netlink").context("set allowed IPs").context("peer east/0");
  EXPECT_EQ(error.code, Errc::kDenied);
  EXPECT_EQ(error.text, "peer east/0: set allowed IPs: netlink: EPERM (Operation not permitted)");
}

TEST(Log, OneLinePerEventAndOutsideTextCannotForgeAnother) {
  set_up_logging(LogLevel::kInfo, false);
  testing::internal::CaptureStderr();
  log_info("peer connected", {{"cluster", "east"}, {"note", "a \"b\"\nERROR x=y"}});
  log_debug("not shown");
  flush_log();
  const auto text = testing::internal::GetCapturedStderr();
  EXPECT_NE(text.find("I peer connected cluster=east note=\"a \\\"b\\\"\\nERROR x=y\"\n"),
            std::string::npos)
      << text;
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
}

std::string http_get(EventLoop& loop, std::uint16_t port, const std::string& path) {
  std::string answer;
  std::atomic<bool> done = false;
  std::thread client([&] {
    const UniqueFd fd(socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_storage to{};
    const auto size = Endpoint{*IpAddress::parse("127.0.0.1"), port}.to_sockaddr(to);
    ASSERT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&to), static_cast<socklen_t>(size)), 0);
    const auto request = "GET " + path + " HTTP/1.0\r\n\r\n";
    ASSERT_EQ(send(fd.get(), request.data(), request.size(), 0),
              static_cast<ssize_t>(request.size()));
    char buffer[4096];
    for (ssize_t n = 0; (n = recv(fd.get(), buffer, sizeof buffer, 0)) > 0;) {
      answer.append(buffer, static_cast<std::size_t>(n));
    }
    done = true;
  });
  const auto poll = loop.every(std::chrono::milliseconds(1), [&] {
    if (done) loop.stop();
  });
  loop.run();
  client.join();
  return answer;
}

TEST(StatusServer, TellsMetricsAndWhyItIsNotReady) {
  EventLoop loop;
  Metrics metrics;
  metrics.counter("causeway_things_total", "Things.", {{"kind", "a"}}).add(3);
  std::vector<std::string> reasons{"store: not synced"};
  std::unique_ptr<StatusServer> server;
  std::uint16_t port = 42000;
  for (; server == nullptr && port < 42100; ++port) {
    auto made = StatusServer::listen(loop, {*IpAddress::parse("127.0.0.1"), port}, metrics,
                                     [&] { return reasons; });
    if (made) server = std::move(*made);
  }
  ASSERT_NE(server, nullptr);
  --port;
  EXPECT_NE(http_get(loop, port, "/metrics").find("causeway_things_total{kind=\"a\"} 3"),
            std::string::npos);
  EXPECT_NE(http_get(loop, port, "/healthz").find(" 200 "), std::string::npos);
  const auto not_ready = http_get(loop, port, "/readyz");
  EXPECT_NE(not_ready.find(" 503 "), std::string::npos);
  EXPECT_NE(not_ready.find("store: not synced"), std::string::npos);
  reasons.clear();
  EXPECT_NE(http_get(loop, port, "/readyz").find(" 200 "), std::string::npos);

  const auto taken = StatusServer::listen(loop, {*IpAddress::parse("127.0.0.1"), port}, metrics,
                                          [] { return std::vector<std::string>{}; });
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, Errc::kUnavailable) << taken.error().text;
}

}  // namespace
}  // namespace cw
