// causeway-discovery: MCS controllers and the DNS server of clusterset.local.
#include "daemon/shell.h"
#include "discovery/app.h"

namespace {

cw::Result<> run(const cw::discovery::Config& config) {
  auto app = cw::discovery::App::start(config);
  if (!app) return cw::fail(std::move(app.error()));
  (*app)->run();
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  return cw::run_daemon(
      argc, argv,
      {"causeway-discovery",
       "Multi-cluster service discovery: MCS controllers and DNS for clusterset.local."},
      {{"run", "answer and control until stopped (the default)",
        cw::with_config(cw::discovery::load_config, run)}});
}
