// The client and the store against a small HTTP server on the same loop, for cases that are rare
// with a real API server.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <deque>
#include <filesystem>
#include <fstream>

#include "api/kube/exec_plugin.h"
#include "api/kube/kube_store.h"
#include "api/store/informer.h"
#include "base/event_loop.h"
#include "base/fake/sim_loop.h"
#include "base/unique_fd.h"
#include "tests/api/kube/loopback_listener.h"

namespace cw::api::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Answers each request with the test's text, then closes the connection.
class Server {
 public:
  using Answer = std::function<std::string(const std::string& request)>;
  Server(Loop& loop, Answer answer) : loop_(loop), answer_(std::move(answer)) {
    accept_ = loop.watch(listener_.fd.get(), FdEvent::kRead, [this] { accept(); });
  }
  [[nodiscard]] std::string url() const {
    return "http://127.0.0.1:" + std::to_string(listener_.port);
  }
  std::vector<std::string> requests;

 private:
  void accept() {
    const int fd = ::accept4(listener_.fd.get(), nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    auto& one = connections_.emplace_back(std::make_unique<Connection>());
    one->fd.reset(fd);
    one->readable = loop_.watch(fd, FdEvent::kRead, [this, raw = one.get()] { read(*raw); });
  }
  struct Connection {
    UniqueFd fd;
    std::string text;
    Handle readable;
  };
  void read(Connection& c) {
    char bytes[4096];
    const auto length = ::recv(c.fd.get(), bytes, sizeof(bytes), 0);
    if (length > 0) c.text.append(bytes, static_cast<std::size_t>(length));
    if (length > 0 && c.text.find("\r\n\r\n") == std::string::npos) return;
    if (!c.text.empty()) {
      requests.push_back(c.text);
      const auto out = answer_(c.text);
      EXPECT_EQ(::send(c.fd.get(), out.data(), out.size(), MSG_NOSIGNAL),
                static_cast<ssize_t>(out.size()));
    }
    c.readable.reset();
    c.fd.reset();
  }

  Loop& loop_;
  Answer answer_;
  LoopbackListener listener_;
  Handle accept_;
  std::vector<std::unique_ptr<Connection>> connections_;
};

std::string http(int status, const std::string& body) {
  return "HTTP/1.1 " + std::to_string(status) +
         " X\r\nConnection: close\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         body;
}

class ClientTest : public testing::Test {
 protected:
  ClientTest() {
    char name[] = "/tmp/causeway-client-XXXXXX";
    folder_ = mkdtemp(name);
  }
  ~ClientTest() override { std::filesystem::remove_all(folder_); }
  void write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ + "/" + name) << text;
  }
  void turn(const std::function<bool()>& done) {
    const auto poll = loop_.every(milliseconds(1), [&] {
      if (done()) loop_.stop();
    });
    const auto limit = loop_.after(seconds(10), [&] { loop_.stop(); });
    loop_.run();
    EXPECT_TRUE(done());
  }
  Result<HttpAnswer> get(Client& client) {
    std::optional<Result<HttpAnswer>> answer;
    HttpRequest request;
    request.path = "/x";
    const auto handle = client.send(request, [&](Result<HttpAnswer> a) { answer = std::move(a); });
    EXPECT_FALSE(answer.has_value());
    turn([&] { return answer.has_value(); });
    return *answer;
  }

  EventLoop loop_;
  SeededRandom random_{1};
  std::string folder_;
};

TEST_F(ClientTest, ARefusedTokenIsReadAgainOnce) {
  write("token", "old\n");
  Server server(loop_, [&](const std::string& request) {
    if (request.find("Authorization: Bearer new\r\n") != std::string::npos) return http(200, "ok");
    write("token", "new\n");
    return http(401, "");
  });
  Access access;
  access.server = server.url();
  access.token.file = folder_ + "/token";
  Client client(loop_, access, "test/1");
  const auto answer = get(client);
  ASSERT_TRUE(answer) << answer.error().text;
  EXPECT_EQ(answer->body, "ok");
  EXPECT_EQ(server.requests.size(), 2U);
  EXPECT_NE(server.requests[0].find("User-Agent: test/1\r\n"), std::string::npos);
}

TEST_F(ClientTest, ATokenThatStaysRefusedIsNotTriedForEver) {
  write("token", "bad");
  Server server(loop_, [](const std::string&) { return http(401, ""); });
  Access access;
  access.server = server.url();
  access.token.file = folder_ + "/token";
  Client client(loop_, access, "test/1");
  const auto answer = get(client);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 401);
  EXPECT_EQ(server.requests.size(), 2U);
}

TEST_F(ClientTest, AMissingTokenIsAnErrorInItsTurn) {
  Access access;
  access.server = "http://127.0.0.1:1";
  access.token.file = folder_ + "/none";
  Client client(loop_, access, "test/1");
  EXPECT_EQ(get(client).error().code, Errc::kDenied);
}

TEST_F(ClientTest, WithoutAServerTheErrorIsUnavailable) {
  Access access;
  access.server = "http://127.0.0.1:1";
  Client client(loop_, access, "test/1");
  EXPECT_EQ(get(client).error().code, Errc::kUnavailable);
}

TEST_F(ClientTest, AnExecPluginGivesTheTokenAndRunsAgainBeforeItExpires) {
  write("plugin", "#!/bin/sh\necho x >> " + folder_ + "/runs\n" +
                      R"(echo '{"kind":"ExecCredential","status":{"token":"'$WHO'",)" +
                      R"("expirationTimestamp":"2001-01-01T00:00:00Z"}}')" + "\n");
  std::filesystem::permissions(folder_ + "/plugin", std::filesystem::perms::owner_all);
  Server server(loop_, [](const std::string& request) {
    return http(request.find("Bearer me\r\n") != std::string::npos ? 200 : 403, "");
  });
  Access access;
  access.server = server.url();
  access.exec.command = folder_ + "/plugin";
  access.exec.env["WHO"] = "me";
  Client client(loop_, access, "test/1");
  EXPECT_EQ(get(client)->status, 200);
  EXPECT_EQ(get(client)->status, 200);  // the token had expired, so the command ran again
  EXPECT_EQ(std::filesystem::file_size(folder_ + "/runs"), 4U);
}

TEST_F(ClientTest, AnExecPluginThatFailsSaysSo) {
  Access access;
  access.server = "http://127.0.0.1:1";
  access.exec.command = "/nonexistent/plugin";
  Client client(loop_, access, "test/1");
  const auto answer = get(client);
  ASSERT_FALSE(answer);
  EXPECT_NE(answer.error().text.find("/nonexistent/plugin"), std::string::npos);
  access.exec.command = "/bin/true";
  Client other(loop_, access, "test/1");
  EXPECT_EQ(get(other).error().code, Errc::kDenied);
}

constexpr const char* kList =
    R"({"metadata":{"resourceVersion":"5"},"items":[{"metadata":{"name":"a","resourceVersion":"5"}}]})";
std::string event(const std::string& type, const std::string& name, int version) {
  return "{\"type\":\"" + type + "\",\"object\":{\"metadata\":{\"name\":\"" + name +
         "\",\"resourceVersion\":\"" + std::to_string(version) + "\"}}}\n";
}

bool is_watch(const std::string& request) { return request.find("watch=1") != std::string::npos; }

TEST_F(ClientTest, AWatchThatTheServerEndsGoesOnWhereItWas) {
  int watches = 0;
  Server server(loop_, [&](const std::string& request) {
    if (!is_watch(request)) return http(200, kList);
    ++watches;
    if (watches == 1) return http(200, event("ADDED", "b", 6) + event("BOOKMARK", "", 9));
    return http(200, event("ADDED", "c", 10));
  });
  Access access;
  access.server = server.url();
  KubeStore store(loop_, random_, access, "test");
  Informer<Namespace> informer(loop_, store, random_, [] {});
  turn([&] { return informer.items().size() == 3; });
  EXPECT_NE(server.requests[1].find("resourceVersion=5&"), std::string::npos);
  EXPECT_NE(server.requests[2].find("resourceVersion=9&"), std::string::npos);
  EXPECT_TRUE(informer.available());
  EXPECT_LE(watches, 3);  // a pause follows a watch that ends early
}

TEST_F(ClientTest, AnExpiredWatchListsAgainAndAnOutageDoesNot) {
  int watches = 0;
  int lists = 0;
  Server server(loop_, [&](const std::string& request) {
    if (!is_watch(request)) {
      ++lists;
      return http(200, kList);
    }
    ++watches;
    if (watches == 1) return http(503, "");
    if (watches == 2) {
      return http(200, R"({"type":"ERROR","object":{"code":410,"message":"too old"}})"
                       "\n");
    }
    return http(200, event("ADDED", "b", 7));
  });
  Access access;
  access.server = server.url();
  KubeStore store(loop_, random_, access, "test");
  Informer<Namespace> informer(loop_, store, random_, [] {});
  turn([&] { return informer.items().size() == 2; });
  EXPECT_EQ(lists, 2);  // the first, and the one after 410: none after 503
}

TEST_F(ClientTest, PagesThatExpireAreReadFromTheStart) {
  int lists = 0;
  Server server(loop_, [&](const std::string& request) {
    ++lists;
    if (request.find("continue=") != std::string::npos) return http(410, "{}");
    if (lists == 1) {
      return http(200, R"({"metadata":{"resourceVersion":"4","continue":"t"},)"
                       R"("items":[{"metadata":{"name":"gone","resourceVersion":"3"}}]})");
    }
    return http(200, kList);
  });
  Access access;
  access.server = server.url();
  KubeStore store(loop_, random_, access, "test");
  std::optional<Result<List>> list;
  const auto handle =
      store.list({Kind::kNamespace, ""}, [&](Result<List> l) { list = std::move(l); });
  turn([&] { return list.has_value(); });
  ASSERT_TRUE(*list) << list->error().text;
  EXPECT_EQ((*list)->items.size(), 1U);
  EXPECT_EQ(lists, 3);
}

TEST_F(ClientTest, ABodyOverTheLimitIsRefused) {
  Server server(loop_, [](const std::string&) { return http(200, std::string(2000, 'x')); });
  Access access;
  access.server = server.url();
  Client client(loop_, access, "test/1");
  HttpRequest request;
  request.path = "/";
  request.limit = 1000;
  std::optional<Result<HttpAnswer>> answer;
  const auto handle = client.send(request, [&](Result<HttpAnswer> a) { answer = std::move(a); });
  turn([&] { return answer.has_value(); });
  EXPECT_EQ(answer->error().code, Errc::kTooLarge);
}

// A load balancer whose server is gone: it takes connections and bytes, and answers nothing.
class MuteServer {
 public:
  explicit MuteServer(Loop& loop) : loop_(loop) {
    port = listener_.port;
    accept_ = loop.watch(listener_.fd.get(), FdEvent::kRead, [this] {
      const int fd = ::accept4(listener_.fd.get(), nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) return;
      auto& one = connections_.emplace_back();
      one.first.reset(fd);
      one.second = loop_.watch(fd, FdEvent::kRead, [this, fd] {
        char bytes[4096];
        const auto length = ::recv(fd, bytes, sizeof(bytes), 0);
        if (length <= 0) {
          for (auto& [open, handle] : connections_) {
            if (open.get() == fd) handle.reset();
          }
          return;
        }
        const std::string text(bytes, static_cast<std::size_t>(length));
        if (mute) return;
        const auto out = text.find("/watch") != std::string::npos
                             ? std::string(
                                   "HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n"
                                   "3\r\nabc\r\n")
                             : std::string("HTTP/1.1 200 X\r\nContent-Length: 2\r\n\r\nok");
        (void)!::send(fd, out.data(), out.size(), MSG_NOSIGNAL);
      });
    });
  }
  [[nodiscard]] std::size_t connections() const { return connections_.size(); }
  bool mute = false;
  std::uint16_t port = 0;

 private:
  Loop& loop_;
  LoopbackListener listener_;
  Handle accept_;
  std::deque<std::pair<UniqueFd, Handle>> connections_;
};

class SilenceTest : public ClientTest {
 protected:
  HttpServer server() {
    HttpServer at;
    at.url = "http://127.0.0.1:" + std::to_string(mute_.port);
    at.patience.quiet = milliseconds(700);
    at.patience.answer = seconds(2);  // enough if this process waits for a core
    at.patience.stream = quiet_;
    return at;
  }
  Handle watch(Http& http) {
    HttpRequest request;
    request.path = "/watch";
    return http.stream(request, {},
                       {{},
                        [this](std::string_view bytes) { data_ += bytes; },
                        [this](Result<HttpAnswer> answer) { ended_ = std::move(answer); }});
  }
  Duration quiet_ = seconds(60);
  MuteServer mute_{loop_};
  std::string data_;
  std::optional<Result<HttpAnswer>> ended_;
};

TEST_F(SilenceTest, AConnectionThatIsOpenAndDeadIsClosedAndSaid) {
  Http http(loop_, server());
  const auto handle = watch(http);
  turn([&] { return data_ == "abc"; });
  mute_.mute = true;
  const auto begun = std::chrono::steady_clock::now();
  turn([&] { return ended_.has_value(); });
  EXPECT_LT(std::chrono::steady_clock::now() - begun, seconds(20));
  ASSERT_FALSE(*ended_);
  EXPECT_EQ(ended_->error().code, Errc::kUnavailable);
  EXPECT_NE(http.silence(), "");
  mute_.mute = false;
  const auto before = mute_.connections();
  ended_.reset();
  data_.clear();
  const auto again = watch(http);
  turn([&] { return data_ == "abc"; });
  EXPECT_GT(mute_.connections(), before) << "not one of the dead ones";
  EXPECT_EQ(http.silence(), "");
}

TEST_F(SilenceTest, AQuietServerThatAnswersKeepsItsStreams) {
  Http http(loop_, server());
  const auto handle = watch(http);
  turn([&] { return data_ == "abc"; });
  const auto end = loop_.after(seconds(4), [&] { loop_.stop(); });
  loop_.run();
  EXPECT_FALSE(ended_.has_value()) << ended_->error().text;
  EXPECT_EQ(http.silence(), "");
}

TEST_F(SilenceTest, AStreamThatGivesNothingEnds) {
  quiet_ = milliseconds(1500);
  Http http(loop_, server());
  const auto handle = watch(http);
  turn([&] { return ended_.has_value(); });
  EXPECT_EQ(data_, "abc");
  EXPECT_EQ(ended_->error().code, Errc::kUnavailable);
  EXPECT_EQ(http.silence(), "") << "the server itself answers";
}

TEST_F(SilenceTest, AnIdleClientAsksNothing) {
  Http http(loop_, server());
  const auto end = loop_.after(seconds(1), [&] { loop_.stop(); });
  loop_.run();
  EXPECT_EQ(mute_.connections(), 0U);
}

}  // namespace
}  // namespace cw::api::kube
