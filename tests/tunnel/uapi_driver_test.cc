// The uapi driver with a program that does not answer: without root and without the program.
#include "tunnel/uapi/uapi_driver.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/fake/sim_loop.h"
#include "base/unique_fd.h"

namespace cw::tunnel {
namespace {

class HungProgram : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string folder = "/tmp/cw-uapi-XXXXXX";
    ASSERT_NE(::mkdtemp(folder.data()), nullptr);
    config_.socket_dir = folder;
    config_.interface = "cwhung";
    config_.userspace_program = "/nonexistent/program";
    listen();
  }
  ~HungProgram() override { std::filesystem::remove_all(config_.socket_dir); }

  [[nodiscard]] std::string socket_path() const { return config_.socket_dir + "/cwhung.sock"; }
  void listen() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const auto path = socket_path();
    std::copy(path.begin(), path.end(), std::begin(address.sun_path));
    program_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::bind(program_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(::listen(program_.get(), 4), 0);
  }

  DriverConfig config_;
  UniqueFd program_;
};

// wireguard-go and its tunnels end when its socket is removed.
TEST_F(HungProgram, KeepsItsSocketAndGetsNoChange) {
  SeededRandom random(1);
  UapiDriver driver(config_);
  DeviceSpec spec;
  spec.private_key = Key::generate_private(random);
  const auto done = driver.apply(spec);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Errc::kUnavailable) << done.error().text;
  EXPECT_TRUE(std::filesystem::exists(socket_path()));
}

TEST_F(HungProgram, ThatWasKilledIsStartedAgain) {
  program_.reset();
  UapiDriver driver(config_);
  const auto done = driver.apply({});
  ASSERT_FALSE(done);
  EXPECT_NE(done.error().text.find("start /nonexistent/program"), std::string::npos)
      << done.error().text;
  EXPECT_FALSE(std::filesystem::exists(socket_path()));
}

}  // namespace
}  // namespace cw::tunnel
