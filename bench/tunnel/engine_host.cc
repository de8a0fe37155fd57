// The engine as a program of its own, `engine_host INTERFACE [KEY=VALUE...]`: for measurements and
// interoperability tests, in which each WireGuard is a process that Debian's `wg` configures. Runs
// in the foreground until SIGTERM or until its interface is deleted.
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <thread>

#include "base/log.h"
#include "tunnel/engine/device.h"
#include "tunnel/engine/uapi_server.h"

namespace {

using namespace cw::tunnel::engine;

bool take(std::string_view option, DeviceOptions& options) {
  const auto equals = option.find('=');
  if (equals == std::string_view::npos) return false;
  const auto key = option.substr(0, equals);
  const auto value = option.substr(equals + 1);
  if (key == "workers") {
    return std::from_chars(value.data(), value.data() + value.size(), options.workers).ec ==
           std::errc{};
  }
  if (key == "aead") {
    options.aead = value == "openssl"    ? AeadChoice::kOpenSsl
                   : value == "ipsec-mb" ? AeadChoice::kIpsecMb
                                         : AeadChoice::kFastest;
    return true;
  }
  const bool on = value == "on";
  if (key == "tso") return options.tso = on, true;
  if (key == "uso") return options.uso = on, true;
  if (key == "gso") return options.gso = on, true;
  if (key == "gro") return options.gro = on, true;
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  DeviceOptions options;
  bool good = argc >= 2;
  if (good) options.interface = argv[1];
  for (int i = 2; i < argc; ++i) good = good && take(argv[i], options);
  if (!good) {
    std::fputs("usage: engine_host INTERFACE [workers=N] [aead=A] [tso|uso|gso|gro=on|off]\n",
               stderr);
    return 2;
  }
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  sigaddset(&ends, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  auto device = Device::open(options);
  if (!device) {
    cw::log_error("engine", {{"error", device.error().text}});
    return 1;
  }
  auto server = UapiServer::listen("/var/run/wireguard", **device);
  if (!server) {
    cw::log_error("engine", {{"error", server.error().text}});
    return 1;
  }
  const auto main_thread = pthread_self();
  std::thread watch([&] {
    (*device)->wait_gone();
    pthread_kill(main_thread, SIGUSR1);
  });
  watch.detach();  // ends with the process, because the interface may stay forever
  int signal = 0;
  sigwait(&ends, &signal);
  server->reset();
  std::fflush(nullptr);
  std::_Exit(0);  // the kernel removes the interface
}
