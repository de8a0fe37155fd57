#include "daemon/process.h"

#include <csignal>
#include <cstdlib>

#include "api/store/open.h"
#include "api/store/trouble.h"
#include "base/process_metrics.h"

namespace cw {

Error configuration_error(Error error, std::string_view where) {
  error.code = Errc::kInvalid;
  return std::move(error).context(where);
}

Result<> Process::open_store(const DaemonConfig& config) {
  auto opened = api::open_store(loop, random, config.store);
  if (!opened) return fail(configuration_error(std::move(opened.error()), "store"));
  store = std::move(*opened);
  add_process_metrics(loop, metrics);
  api::add_store_metrics(*store, metrics);
  return {};
}

Result<> Process::serve_status(const DaemonConfig& config, StatusServer::Readiness readiness) {
  if (!config.status) return {};
  auto server = StatusServer::listen(loop, *config.status, metrics, std::move(readiness));
  if (!server) return fail(configuration_error(std::move(server.error()), "status"));
  status = std::move(*server);
  return {};
}

void Process::run(const std::function<void(std::function<void()> done)>& drain) {
  bool stopping = false;
  const auto stop = [&] {
    if (stopping) std::_Exit(1);
    stopping = true;
    drain([this] { loop.stop(); });
  };
  const auto on_term = loop.on_signal(SIGTERM, stop);
  const auto on_int = loop.on_signal(SIGINT, stop);
  loop.run();
}

}  // namespace cw
