// causeway-discovery: MCS controllers and the DNS server of clusterset.local.
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>

#include "base/memory.h"
#include "base/process_metrics.h"
#include "discovery/app.h"

namespace {

// Runs until SIGTERM. A start that fails is repeated, unless an administrator must act first.
int run(const cw::discovery::StartConfig& config) {
  cw::EventLoop loop;
  cw::SystemRandom random;
  cw::Backoff backoff(std::chrono::milliseconds(500), std::chrono::seconds(10));
  std::unique_ptr<cw::discovery::App> app;
  cw::Handle retry;
  int code = 0;
  const std::function<void()> start = [&] {
    auto made = cw::discovery::App::start(loop, config);
    if (made) {
      app = std::move(*made);
      return;
    }
    if (made.error().code == cw::Errc::kInvalid) {
      std::fprintf(stderr, "causeway-discovery: %s\n", made.error().text.c_str());
      code = 2;
      loop.stop();
      return;
    }
    cw::log_warn("start failed; retrying", {{"error", made.error().text}});
    retry = loop.after(backoff.next(random), start);
  };
  bool stopping = false;
  const auto stop = [&] {
    if (stopping || app == nullptr) return loop.stop();  // a second signal ends the process at once
    stopping = true;
    retry = loop.after(std::chrono::seconds(2), [&] { loop.stop(); });
    app->stop([&] { loop.stop(); });
  };
  const auto term = loop.on_signal(SIGTERM, stop);
  const auto interrupt = loop.on_signal(SIGINT, stop);
  const auto trim = loop.every(cw::kGiveBackEvery, cw::give_back_memory);
  loop.post(start);
  loop.run();
  app.reset();
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  cw::share_heap();
  cw::raise_open_files();
  CLI::App cli("Multi-cluster service discovery: MCS controllers and DNS for clusterset.local.");
  std::string path;
  cli.add_option("--config", path, "configuration file (YAML)")->required();
  cli.set_version_flag("--version", std::string("causeway-discovery ") + CW_VERSION);
  try {
    cli.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return cli.exit(e) == 0 ? 0 : 2;
  }
  const auto config = cw::discovery::load_config(path);
  if (!config) {
    std::fprintf(stderr, "causeway-discovery: %s\n", config.error().text.c_str());
    return 2;
  }
  cw::set_up_logging(config->log_level, config->log_json);
  return run(*config);
}
