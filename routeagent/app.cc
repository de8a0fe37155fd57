#include "routeagent/app.h"

#include <fmt/format.h>

#include "api/store/trouble.h"
#include "base/memory.h"
#include "netlink/rtnl/rtnl_kernel.h"
#include "routeagent/closed/guard.h"
#include "routeagent/node_key.h"

namespace cw::routeagent {

Result<std::unique_ptr<App>> App::start(const Config& config) {
  // Before anything that can fail: a node whose agent cannot start is closed, too.
  if (auto closed = close_once(config); !closed) {
    log_error("not closed at start", {{"error", closed.error().text}});
  }
  std::unique_ptr<App> app(new App);
  auto& process = app->process_;
  auto& loop = process.loop;
  auto& random = process.random;
  const auto key = node_key(config.state_dir, random);
  if (!key) return fail(configuration_error(key.error(), "stateDir"));
  if (auto opened = process.open_store(config); !opened) return fail(std::move(opened.error()));
  auto kernel = netlink::RtnlKernel::open(loop);
  if (!kernel) return fail(std::move(kernel.error()).context("netlink"));
  app->kernel_ = std::move(*kernel);
  auto slow = netlink::RtnlKernel::open(loop);
  if (!slow) return fail(std::move(slow.error()).context("netlink"));
  app->slow_kernel_ = std::move(*slow);
  app->worker_ = std::make_unique<Worker>(loop, 16);
  const auto readiness = [raw = app.get()] {
    if (raw->coordinator_ == nullptr) return std::vector<std::string>{"starting"};
    return api::with_store(raw->coordinator_->not_ready(), *raw->process_.store);
  };
  if (auto served = process.serve_status(config, readiness); !served) {
    return fail(std::move(served.error()));
  }
  app->file_worker_ = std::make_unique<Worker>(loop, 2);
  LedgerFile closed{read_ledger(config.state_dir),
                    [worker = app->file_worker_.get(), folder = config.state_dir](
                        std::string text, LedgerFile::Done done) {
                      const bool taken = worker->run([folder, text = std::move(text), done] {
                        return [done, result = write_ledger(folder, text)] { done(result); };
                      });
                      CW_CHECK(taken);  // there is one write at a time
                    }};
  // The engine's threads, or the program that it starts, carry packets: they do not give way.
  auto hop_background = no_background();
  if (config.overlay == OverlayMode::kWireguard) {
    app->hop_worker_ = std::make_unique<Worker>(loop, 4, Worker::Pace::kAsTheLoop);
    hop_background = background_of(*app->hop_worker_);
  }
  app->coordinator_ = std::make_unique<Coordinator>(Deps{
      loop, random, *process.store, *app->kernel_, process.metrics, config, *key, std::move(closed),
      [&loop, &random](tunnel::ProberConfig probe, tunnel::ProberHooks hooks) {
        // No host has a reason to probe a node; one that does learns that it is there.
        return tunnel::Prober::open(loop, random, std::move(probe), std::move(hooks));
      },
      [&loop, &random](tunnel::ForwardingConfig probe,
                       tunnel::ForwardingProber::OnChange on_change) {
        return tunnel::ForwardingProber::open(loop, random, std::move(probe), std::move(on_change));
      },
      background_of(*app->worker_), app->slow_kernel_.get(), forward_memory(config.state_dir),
      [hop = config.hop_tunnel] { return tunnel::make_driver(hop); }, hop_background});
  if (!config.reach_file.empty()) {
    app->reach_worker_ = std::make_unique<Worker>(loop, 2);
    app->reach_ =
        std::make_unique<ReachWriter>(loop, background_of(*app->reach_worker_), config.reach_file,
                                      [raw = app->coordinator_.get()] { return raw->reach(); });
    app->coordinator_->set_on_reach([raw = app->reach_.get()] { raw->update(); });
  }
  log_info("route agent started", {{"node", config.node}, {"store", config.store}});
  return app;
}

void App::run() {
  GrowthWatch growth;
  const auto give_back = process_.loop.every(GrowthWatch::kEvery, [&growth] { growth.look(); });
  process_.run([](const std::function<void()>& done) {
    log_info("route agent stops; routes stay in place");
    done();
  });
}

namespace {

Result<> result_of(const netlink::PassReport& report) {
  if (report.errors.empty()) return {};
  return fail(Errc::kInternal, fmt::format("{}", fmt::join(report.errors, "; ")));
}

}  // namespace

Result<> clean_up(const Config& config, bool open) {
  EventLoop loop;
  auto kernel = netlink::RtnlKernel::open(loop);
  if (!kernel) return fail(std::move(kernel.error()));
  const auto forwarding = forward_memory(config.state_dir);
  auto report = remove_node(**kernel, forwarding.before.value_or(std::set<Family>{}));
  if (!forwarding.before) report.errors.push_back(forwarding.before.error().text);
  if (report.errors.empty()) {
    if (auto gone = remove_forward_memory(config.state_dir); !gone) {
      report.errors.push_back(gone.error().text);
    }
  }
  if (open) {
    // The file first: what is left of the guard after an error closes nothing at the next boot.
    if (auto gone = remove_ledger(config.state_dir); !gone) {
      report.errors.push_back(gone.error().text);
    }
    report.add(netlink::remove_all(**kernel, netlink::closed_owner()));
  }
  log_info("cleaned up", {{"removed", report.steps},
                          {"errors", report.errors.size()},
                          {"guard", open ? "removed" : "kept"}});
  return result_of(report);
}

Result<> close_once(const Config& config) {
  const auto ledger = read_ledger(config.state_dir);
  if (!ledger) return fail(ledger.error());
  if (ledger->empty()) return {};
  EventLoop loop;
  auto kernel = netlink::RtnlKernel::open(loop);
  if (!kernel) return fail(std::move(kernel.error()));
  const auto report =
      netlink::Reconciler(netlink::closed_owner(), **kernel)
          .apply(guard_state(closed_prefixes(*ledger), free_priorities(**kernel, config.rules)));
  log_info("closed", {{"clusters", ledger->size()}, {"steps", report.steps}});
  return result_of(report);
}

}  // namespace cw::routeagent
