// wg's socket on a real device: access, dead and living predecessors, too many clients, no
// descriptors left.
#include "tunnel/engine/uapi_server.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstring>
#include <filesystem>

#include "base/unique_fd.h"
#include "tests/tunnel/engine/hosts.h"
#include "tunnel/uapi/client.h"

namespace cw::tunnel::engine {
namespace {

using std::chrono::milliseconds;

class Server : public testing::Test {
 protected:
  Server() {
    std::string pattern = "/tmp/uapi-XXXXXX";
    folder_ = std::string(mkdtemp(pattern.data())) + "/wireguard";
    socket_ = folder_ + "/wg0.sock";
    server_ = listen();
  }
  ~Server() override {
    server_.reset();
    std::filesystem::remove_all(std::filesystem::path(folder_).parent_path());
  }
  std::unique_ptr<UapiServer> listen() {
    auto made = UapiServer::listen(folder_, *hosts_.device[0]);
    EXPECT_TRUE(made) << made.error().text;
    return made ? std::move(*made) : nullptr;
  }
  [[nodiscard]] Result<std::string> get(milliseconds limit = milliseconds(3000)) const {
    return uapi::exchange(socket_, uapi::kGet, limit);
  }
  [[nodiscard]] UniqueFd connect() const {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::memcpy(name.sun_path, socket_.c_str(), socket_.size());
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name), 0);
    return fd;
  }

  TwoHosts hosts_;
  std::string folder_;
  std::string socket_;
  std::unique_ptr<UapiServer> server_;
};

TEST_F(Server, IsForItsOwnerOnly) {
  struct stat info {};
  ASSERT_EQ(::stat(folder_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0700U);
  ASSERT_EQ(::stat(socket_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
  const auto reply = get();
  ASSERT_TRUE(reply) << reply.error().text;
  EXPECT_TRUE(reply->ends_with("errno=0\n\n"));
  server_.reset();
  EXPECT_NE(::stat(socket_.c_str(), &info), 0);
}

TEST_F(Server, TakesThePlaceOfADeadOneAndNotOfALivingOne) {
  const auto second = UapiServer::listen(folder_, *hosts_.device[0]);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::kExists);
  EXPECT_TRUE(get());
  server_.reset();
  {
    const UniqueFd dead(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::memcpy(name.sun_path, socket_.c_str(), socket_.size());
    ASSERT_EQ(::bind(dead.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name), 0);
  }
  server_ = listen();
  EXPECT_TRUE(get());
}

TEST_F(Server, AnswersSeveralRequestsOfAConnectionAlsoInPieces) {
  const auto fd = connect();
  const std::string text = "get=1\n\nset=1\nfwmark=bad\n\nset=1\n\n";
  for (const char c : text) ASSERT_EQ(::send(fd.get(), &c, 1, MSG_NOSIGNAL), 1);
  ASSERT_EQ(::shutdown(fd.get(), SHUT_WR), 0);
  std::string all;
  char buffer[4096];
  for (ssize_t n = 0; (n = ::recv(fd.get(), buffer, sizeof buffer, 0)) > 0;) {
    all.append(buffer, static_cast<std::size_t>(n));
  }
  EXPECT_NE(all.find("private_key="), std::string::npos);
  EXPECT_TRUE(all.ends_with("errno=0\n\nerrno=-22\n\nerrno=0\n\n")) << all;
}

TEST_F(Server, ManyIdleClientsWaitTheirTurn) {
  std::vector<UniqueFd> idle;
  for (std::size_t i = 0; i < UapiServer::kMaxClients; ++i) idle.push_back(connect());
  EXPECT_FALSE(get(milliseconds(300)));  // the client waits in the listen queue
  idle.pop_back();
  EXPECT_TRUE(get());
}

TEST_F(Server, WithoutDescriptorsItWaitsAndGoesOn) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const auto client = connect();
  const auto spare = ::fcntl(client.get(), F_DUPFD_CLOEXEC, 0);  // the lowest free number
  ::close(spare);
  const UniqueFd waiting(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  rlimit none = before;
  none.rlim_cur = static_cast<rlim_t>(waiting.get()) + 1;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::memcpy(name.sun_path, socket_.c_str(), socket_.size());
  ASSERT_EQ(::connect(waiting.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name), 0);
  ASSERT_EQ(::send(waiting.get(), "get=1\n\n", 7, MSG_NOSIGNAL), 7);
  std::this_thread::sleep_for(milliseconds(200));
  rusage usage{};
  (void)::getrusage(RUSAGE_SELF, &usage);
  const auto switches = usage.ru_nvcsw;
  std::this_thread::sleep_for(milliseconds(500));
  (void)::getrusage(RUSAGE_SELF, &usage);
  EXPECT_LE(usage.ru_nvcsw - switches, 60);  // it does not spin
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  const timeval limit{5, 0};
  (void)::setsockopt(waiting.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  char byte = 0;
  EXPECT_EQ(::recv(waiting.get(), &byte, 1, 0), 1);
}

}  // namespace
}  // namespace cw::tunnel::engine
