// causeway-gateway: flags, configuration, then App. Exit codes: 0, 1 (cannot run), 2 (usage or
// configuration).
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "base/log.h"
#include "base/memory.h"
#include "base/process_metrics.h"
#include "gateway/app.h"

namespace {

constexpr int kFailed = 1;
constexpr int kUsageError = 2;

int tell(const std::string& text, int code) {
  fmt::print(stderr, "causeway-gateway: {}\n", text);
  return code;
}

int run(const cw::gateway::StartConfig& config) {
  auto app = cw::gateway::App::start(config);
  if (!app) {
    return tell(app.error().text, app.error().code == cw::Errc::kInvalid ? kUsageError : kFailed);
  }
  (*app)->run();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  cw::share_heap();
  cw::raise_open_files();
  CLI::App flags("One end of every tunnel to remote clusters.", "causeway-gateway");
  std::string path;
  flags.add_option("--config", path, "configuration file (docs/configuration.md)")->required();
  flags.set_version_flag("--version", std::string("causeway-gateway ") + CW_VERSION);
  flags.fallthrough();
  flags.require_subcommand(0, 1);
  flags.add_subcommand("run", "keep the tunnels current until stopped (the default)");
  const auto* cleanup =
      flags.add_subcommand("cleanup", "remove all that the gateway made, and end");
  try {
    flags.parse(argc, argv);
  } catch (const CLI::Success& asked) {
    return flags.exit(asked);
  } catch (const CLI::ParseError& mistake) {
    return tell(mistake.what(), kUsageError);
  }
  const auto config = cw::gateway::load_config(path);
  if (!config) return tell(config.error().text, kUsageError);
  cw::set_up_logging(config->log_level, config->log_json);
  if (cleanup->parsed()) {
    const auto clean = cw::gateway::clean_up(*config);
    return clean ? 0 : tell(clean.error().text, kFailed);
  }
  return run(*config);
}
