// causeway-routeagent: flags, configuration, then App. Exit codes: 0, 1 (cannot run), 2 (usage or
// configuration).
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "base/log.h"
#include "base/memory.h"
#include "base/process_metrics.h"
#include "routeagent/app.h"

namespace {

constexpr int kFailed = 1;
constexpr int kUsageError = 2;

int tell(const std::string& text, int code) {
  fmt::print(stderr, "causeway-routeagent: {}\n", text);
  return code;
}

int run(const cw::routeagent::Config& config) {
  auto app = cw::routeagent::App::start(config);
  if (!app) return tell(app.error().text, kUsageError);
  (*app)->run();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  cw::share_heap();
  cw::raise_open_files();
  CLI::App flags("Programs one node's routes to remote clusters.", "causeway-routeagent");
  std::string path;
  flags.add_option("--config", path, "configuration file (docs/configuration.md)");
  flags.set_version_flag("--version", std::string("causeway-routeagent ") + CW_VERSION);
  flags.fallthrough();
  flags.require_subcommand(0, 1);
  flags.add_subcommand("run", "keep the node's state current until stopped (the default)");
  bool open = false;
  auto* cleanup = flags.add_subcommand(
      "cleanup", "remove all that the agent made but the guard of remote prefixes, and end");
  cleanup->add_flag("--open", open, "the guard too: traffic to remote pods may leave in the clear");
  const auto* close = flags.add_subcommand(
      "close", "put up the guard of remote prefixes as this host remembers it, and end");
  try {
    flags.parse(argc, argv);
  } catch (const CLI::Success& asked) {
    return flags.exit(asked);
  } catch (const CLI::ParseError& mistake) {
    return tell(mistake.what(), kUsageError);
  }
  if (path.empty()) return tell("--config FILE is missing", kUsageError);
  const auto config = cw::routeagent::load_config(path);
  if (!config) return tell(config.error().text, kUsageError);
  cw::set_up_logging(config->log_level, config->log_json);
  if (cleanup->parsed()) {
    const auto clean = cw::routeagent::clean_up(*config, open);
    return clean ? 0 : tell(clean.error().text, kFailed);
  }
  if (close->parsed()) {
    const auto closed = cw::routeagent::close_once(*config);
    return closed ? 0 : tell(closed.error().text, kFailed);
  }
  return run(*config);
}
