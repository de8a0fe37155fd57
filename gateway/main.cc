// causeway-gateway: one end of every tunnel to remote clusters.
#include "daemon/shell.h"
#include "gateway/app.h"
#include "gateway/peers/name_lookups.h"

namespace {

cw::Result<> run(const cw::gateway::Config& config) {
  auto app = cw::gateway::App::start(config);
  if (!app) return cw::fail(std::move(app.error()));
  (*app)->run();
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  using cw::gateway::load_config;
  cw::gateway::limit_lookup_time();
  return cw::run_daemon(argc, argv,
                        {"causeway-gateway", "One end of every tunnel to remote clusters."},
                        {{"run", "keep the tunnels current until stopped (the default)",
                          cw::with_config(load_config, run)},
                         {"cleanup", "remove all that the gateway made, and end",
                          cw::with_config(load_config, cw::gateway::clean_up)}});
}
