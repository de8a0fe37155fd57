// The worlds in which the driver contract runs: the fake, and real devices. Real devices are in a
// network and mount namespace of the test's process (gtest_discover_tests gives each test its own).
#pragma once

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "tunnel/driver.h"
#include "tunnel/engine/engine_driver.h"
#include "tunnel/fake/fake_driver.h"
#include "tunnel/kernel/kernel_driver.h"
#include "tunnel/uapi/uapi_driver.h"

namespace cw::tunnel {

inline void run(const std::string& command) {
  EXPECT_EQ(std::system(command.c_str()), 0) << command;  // NOLINT(concurrency-mt-unsafe)
}

class FakeWorld {
 public:
  static constexpr bool kReal = false;
  [[nodiscard]] static std::string missing() { return {}; }
  // The driver of one process; an `interface` that was made before still exists.
  Driver& open(const std::string& interface) {
    auto& one = devices_[interface];
    if (!one) one = std::make_unique<FakeDriver>();
    return *one;
  }
  // As after a restart of the daemon. The fake's device ends with its object.
  Driver& reopen(const std::string& interface) { return open(interface); }

 private:
  std::map<std::string, std::unique_ptr<FakeDriver>> devices_;
};

// Removes its devices even if the test fails: a userspace device lives as long as its link.
template <typename Made>
class RealWorld {
 public:
  static constexpr bool kReal = true;
  static constexpr bool kOutlivesDriver = true;

  RealWorld() {
    EXPECT_EQ(unshare(CLONE_NEWNET | CLONE_NEWNS), 0) << "needs root";
    EXPECT_EQ(mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    (void)mkdir("/run/wireguard", 0700);
    EXPECT_EQ(mount("tmpfs", "/run/wireguard", "tmpfs", 0, nullptr), 0);
    run("ip link set lo up");
  }
  ~RealWorld() {
    for (const auto& name : names_) {
      const auto quiet = "ip link del " + name + " 2>/dev/null";
      (void)std::system(quiet.c_str());  // NOLINT(concurrency-mt-unsafe): a test of one thread
    }
  }
  RealWorld(const RealWorld&) = delete;
  RealWorld& operator=(const RealWorld&) = delete;

  Driver& open(const std::string& interface) {
    DriverConfig config;
    config.interface = interface;
    config.socket_dir = "/run/wireguard";
    names_.push_back(interface);
    return *drivers_.emplace_back(std::make_unique<Made>(config));
  }
  // As after a restart of the daemon; an engine's device is gone with its process.
  Driver& reopen(const std::string& interface) {
    if (std::is_same_v<Made, EngineDriver>) drivers_.clear();
    return open(interface);
  }

 private:
  std::vector<std::string> names_;
  std::vector<std::unique_ptr<Driver>> drivers_;
};

// wireguard-go, as gateways use it if the kernel has no WireGuard.
class UapiWorld : public RealWorld<UapiDriver> {
 public:
  [[nodiscard]] static std::string missing() {
    return std::system("command -v wireguard-go >/dev/null && test -c /dev/net/tun") == 0
               ? ""
               : "no wireguard-go or no /dev/net/tun";
  }
};

// Our own engine: the device goes with the driver.
class EngineWorld : public RealWorld<EngineDriver> {
 public:
  static constexpr bool kOutlivesDriver = false;
  [[nodiscard]] static std::string missing() {
    return std::system("test -c /dev/net/tun") == 0 ? "" : "no /dev/net/tun";
  }
};

// Linux's own. If this kernel has none, e2e/qemu runs these tests on one that has it.
class KernelWorld : public RealWorld<KernelDriver> {
 public:
  [[nodiscard]] static std::string missing() {
    return kernel_has_wireguard() ? "" : "this kernel has no WireGuard; e2e/qemu runs this test";
  }
};

}  // namespace cw::tunnel
