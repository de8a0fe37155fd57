// causeway-routeagent: one node's routes to remote clusters.
#include <CLI/CLI.hpp>

#include "daemon/shell.h"
#include "routeagent/app.h"

namespace {

cw::Result<> run(const cw::routeagent::Config& config) {
  auto app = cw::routeagent::App::start(config);
  if (!app) return cw::fail(std::move(app.error()));
  (*app)->run();
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  using cw::routeagent::load_config;
  bool open = false;
  const auto clean_up = [&open](const cw::routeagent::Config& config) {
    return cw::routeagent::clean_up(config, open);
  };
  const auto add_open = [&open](CLI::App& cleanup) {
    cleanup.add_flag("--open", open,
                     "the guard too: traffic to remote pods may leave in the clear");
  };
  return cw::run_daemon(
      argc, argv, {"causeway-routeagent", "Programs one node's routes to remote clusters."},
      {{"run", "keep the node's state current until stopped (the default)",
        cw::with_config(load_config, run)},
       {"cleanup", "remove all that the agent made but the guard of remote prefixes, and end",
        cw::with_config(load_config, clean_up), add_open},
       {"close", "put up the guard of remote prefixes as this host remembers it, and end",
        cw::with_config(load_config, cw::routeagent::close_once)}});
}
