#include "tunnel/uapi/uapi_driver.h"

#include <fmt/format.h>
#include <net/if.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <thread>

#include "base/log.h"
#include "tunnel/link.h"
#include "tunnel/uapi/client.h"
#include "tunnel/uapi/codec.h"

namespace cw::tunnel {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// For one answer of the program, and for its start or end.
constexpr auto kTimeout = seconds(3);
constexpr auto kStartTimeout = seconds(5);

// Runs `program interface` and waits for it to end: userspace implementations go into the
// background once their device exists.
Result<> spawn(const std::string& program, const std::string& interface) {
  std::string name = program;
  std::string argument = interface;
  char* argv[] = {name.data(), argument.data(), nullptr};
  // The program writes its own notices to stderr; LOG_LEVEL limits wireguard-go to errors.
  std::string path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  std::string level = "LOG_LEVEL=error";
  std::string quiet = "WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD=1";
  char* environment[] = {path.data(), level.data(), quiet.data(), nullptr};
  pid_t pid = 0;
  // The calling thread blocks signals; the program must not.
  posix_spawnattr_t attributes;
  sigset_t none{};
  sigemptyset(&none);
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  const int err = posix_spawnp(&pid, program.c_str(), nullptr, &attributes, argv, environment);
  posix_spawnattr_destroy(&attributes);
  if (err != 0) {
    return fail(errno_error(err, fmt::format("start {}", program)));
  }
  const auto deadline = std::chrono::steady_clock::now() + kStartTimeout;
  int status = 0;
  for (;;) {
    const auto got = waitpid(pid, &status, WNOHANG);
    if (got == pid) break;
    if (got < 0 && errno != EINTR) return fail(errno_error(errno, "wait"));
    if (std::chrono::steady_clock::now() > deadline) {
      return fail(Errc::kUnavailable, fmt::format("{} did not go into the background", program));
    }
    std::this_thread::sleep_for(milliseconds(5));
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    return fail(Errc::kUnavailable,
                fmt::format("{} {} failed (status {})", program, interface, status));
  }
  return {};
}

}  // namespace

UapiDriver::UapiDriver(DriverConfig config)
    : config_(std::move(config)),
      socket_(fmt::format("{}/{}.sock", config_.socket_dir, config_.interface)) {}

Result<std::string> UapiDriver::exchange(const std::string& request) {
  auto reply = uapi::exchange(socket_, request, kTimeout);
  answers_ = reply.has_value();
  return reply;
}

Result<DeviceStatus> UapiDriver::read() {
  const auto reply = exchange(std::string(uapi::kGet));
  if (!reply) return fail(reply.error());
  return uapi::decode_get(*reply);
}

Result<DeviceStatus> UapiDriver::open() {
  const std::string get(uapi::kGet);
  auto reply = exchange(get);
  // A program that hangs keeps its socket: wireguard-go ends when its socket is removed, and its
  // tunnels with it.
  if (!reply && reply.error().code == Errc::kNotFound) {
    ::unlink(socket_.c_str());  // the socket of a program that was killed
    log_info("starting userspace WireGuard",
             {{"program", config_.userspace_program}, {"interface", config_.interface}});
    if (auto ok = spawn(config_.userspace_program, config_.interface); !ok) return fail(ok.error());
    forget();
    const auto deadline = std::chrono::steady_clock::now() + kStartTimeout;
    for (reply = exchange(get); !reply && std::chrono::steady_clock::now() <= deadline;
         reply = exchange(get)) {
      std::this_thread::sleep_for(milliseconds(10));
    }
  }
  if (!reply) return fail(reply.error());
  return uapi::decode_get(*reply);
}

Result<> UapiDriver::set(const DeviceChange& change) {
  const auto reply = exchange(uapi::encode_set(change));
  if (!reply) return fail(reply.error());
  return uapi::decode_set_reply(*reply);
}

Result<> UapiDriver::move(const DeviceChange& change) {
  // A program that hangs would make this change late, when it continues.
  if (!answers_) return fail(Errc::kUnavailable, socket_ + ": does not answer");
  return set(change);
}

Result<> UapiDriver::remove() {
  forget();
  if (auto ok = remove_link(config_.interface, "tun"); !ok) return ok;
  // The program ends when its device is gone, and removes its socket.
  const auto deadline = std::chrono::steady_clock::now() + kStartTimeout;
  while (::access(socket_.c_str(), F_OK) == 0) {
    if (std::chrono::steady_clock::now() > deadline) {
      ::unlink(socket_.c_str());
      break;
    }
    std::this_thread::sleep_for(milliseconds(5));
  }
  return {};
}

}  // namespace cw::tunnel
