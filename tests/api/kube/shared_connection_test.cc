// One HTTP/2 connection for all requests and watches, as with a real API server. It may be open and
// dead: a load balancer that has lost its server acknowledges bytes and answers nothing.
#include <gtest/gtest.h>

#include <optional>

#include "api/kube/kube_store.h"
#include "api/store/trouble.h"
#include "base/event_loop.h"
#include "tests/api/kube/h2_server.h"

namespace cw::api::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

H2Answer api_server(const std::string& path) {
  if (path.find("watch=1") != std::string::npos) {
    return {R"({"type":"BOOKMARK","object":{"kind":"X","metadata":{"resourceVersion":"7"}}})"
            "\n",
            true};
  }
  return {R"({"metadata":{"resourceVersion":"7"},"items":[]})", false};
}

class SharedConnection : public testing::Test {
 protected:
  explicit SharedConnection(std::uint32_t at_once = 100) : server_(loop_, &api_server, at_once) {
    patience_.quiet = milliseconds(700);
    patience_.answer = seconds(2);  // enough if this process waits for a core
  }
  void turn(const std::function<bool()>& done) {
    const auto poll = loop_.every(milliseconds(1), [&] {
      if (done()) loop_.stop();
    });
    const auto limit = loop_.after(seconds(20), [&] { loop_.stop(); });
    loop_.run();
    EXPECT_TRUE(done());
  }
  struct Watch {
    std::string data;
    std::optional<Result<HttpAnswer>> ended;
    Handle handle;
  };
  void watch(Http& http, Watch& on) {
    on = {};
    HttpRequest request;
    request.path = "/watch?watch=1";
    on.handle = http.stream(request, {},
                            {{},
                             [&on](std::string_view bytes) { on.data += bytes; },
                             [&on](Result<HttpAnswer> answer) { on.ended = std::move(answer); }});
    turn([&] { return !on.data.empty(); });
  }
  Result<HttpAnswer> get(Http& http, Duration timeout = seconds(10)) {
    std::optional<Result<HttpAnswer>> answer;
    HttpRequest request;
    request.path = "/list";
    request.timeout = timeout;
    const auto handle =
        http.send(request, {}, [&](Result<HttpAnswer> a) { answer = std::move(a); });
    turn([&] { return answer.has_value(); });
    return *answer;
  }
  HttpServer at() {
    HttpServer at;
    at.url = server_.url();
    at.insecure = true;
    at.patience = patience_;
    return at;
  }
  Access access() {
    Access access;
    access.server = server_.url();
    access.insecure = true;
    return access;
  }

  EventLoop loop_;
  SeededRandom random_{1};
  Patience patience_;
  H2Server server_;
};

TEST_F(SharedConnection, IsClosedAndReplacedWhenItIsOpenAndDead) {
  Http http(loop_, at());
  Watch a;
  Watch b;
  watch(http, a);
  watch(http, b);
  ASSERT_TRUE(get(http));
  ASSERT_EQ(server_.connections(), 1U);
  server_.lose(0);
  turn([&] { return a.ended.has_value() && b.ended.has_value(); });
  EXPECT_EQ(a.ended->error().code, Errc::kUnavailable);
  EXPECT_EQ(b.ended->error().code, Errc::kUnavailable);
  EXPECT_NE(http.silence(), "");
  EXPECT_TRUE(get(http));
  watch(http, a);
  EXPECT_EQ(server_.connections(), 2U);
  EXPECT_EQ(http.silence(), "");
  turn([&] { return server_.client_closed(0); });
}

// A daemon's /readyz, with this store.
TEST_F(SharedConnection, ReadyzSaysThatNothingComesBackUntilItDoes) {
  KubeStore store(loop_, random_, access(), "causeway-test", patience_);
  const auto reasons = [&] { return with_store({}, store); };
  std::optional<Error> ended;
  bool told = false;
  const auto begin = [&] {
    ended.reset();
    told = false;
    return store.watch(
        {Kind::kService, {}, {}}, "1",
        {[&](const WatchEvent&) { told = true; }, [&](const Error& error) { ended = error; }});
  };
  auto watching = begin();
  turn([&] { return told; });
  EXPECT_TRUE(reasons().empty());
  server_.lose(0);
  turn([&] { return !reasons().empty(); });
  ASSERT_EQ(reasons().size(), 1U);
  EXPECT_EQ(reasons()[0].find("store: "), 0U) << reasons()[0];
  EXPECT_NE(reasons()[0].find("its connections were closed"), std::string::npos) << reasons()[0];
  turn([&] { return ended.has_value(); });
  EXPECT_EQ(ended->code, Errc::kUnavailable);
  watching = begin();
  turn([&] { return reasons().empty(); });
}

// If the server allows two streams per connection, two watches fill it, and the third opens another
// one.
class TwoConnections : public SharedConnection {
 protected:
  TwoConnections() : SharedConnection(2) {}
};

TEST_F(TwoConnections, TheDeadOneBesideALiveOneIsClosedAlone) {
  Http http(loop_, at());
  Watch a;
  Watch b;
  Watch c;
  watch(http, a);
  watch(http, b);
  watch(http, c);
  ASSERT_EQ(server_.connections(), 2U);
  ASSERT_EQ(server_.paths(1).size(), 1U);
  server_.lose(0);
  const auto begun = std::chrono::steady_clock::now();
  turn([&] { return a.ended.has_value() && b.ended.has_value(); });
  EXPECT_LT(std::chrono::steady_clock::now() - begun, seconds(15));
  EXPECT_EQ(a.ended->error().code, Errc::kUnavailable);
  EXPECT_FALSE(c.ended.has_value()) << c.ended->error().text;
  turn([&] { return server_.client_closed(0); });
  EXPECT_EQ(http.silence(), "") << "the server itself answers";
  EXPECT_FALSE(server_.client_closed(1));
}

// Without a watch on the dead connection, each request would use it again.
TEST_F(TwoConnections, AConnectionOnWhichARequestTimedOutIsNotUsedAgain) {
  patience_.quiet = seconds(60);
  Http http(loop_, at());
  ASSERT_TRUE(get(http));
  ASSERT_EQ(server_.connections(), 1U);
  server_.lose(0);
  EXPECT_EQ(get(http, milliseconds(500)).error().code, Errc::kUnavailable);
  EXPECT_TRUE(get(http));
  EXPECT_EQ(server_.connections(), 2U);
  turn([&] { return server_.client_closed(0); });
}

}  // namespace
}  // namespace cw::api::kube
