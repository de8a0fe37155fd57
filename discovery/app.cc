#include "discovery/app.h"

#include "api/store/trouble.h"
#include "base/memory.h"
#include "discovery/dns/own_addresses.h"

namespace cw::discovery {

Result<std::unique_ptr<App>> App::start(const Config& config) {
  std::unique_ptr<App> app(new App);
  auto& process = app->process_;
  auto& loop = process.loop;
  auto clients = dns::loopback();
  clients.insert(clients.end(), config.allow_from.begin(), config.allow_from.end());
  auto server = dns::Server::start({config.listen, config.workers, config.tcp, config.rate,
                                    process.random.next(), std::move(clients)});
  if (!server) return fail(Errc::kInvalid, server.error().text);
  app->server_ = std::move(*server);
  if (auto opened = process.open_store(config); !opened) return fail(std::move(opened.error()));

  ControllerConfig controller;
  controller.ns = config.ns;
  controller.identity = config.identity;
  controller.stale_drop = config.stale_drop;
  controller.derive = config.derive;
  controller.export_namespaces = config.export_namespaces;
  const auto seconds = [](std::chrono::nanoseconds d) {
    return static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::seconds>(d).count());
  };
  controller.table = {seconds(config.ttl), seconds(config.negative_ttl), {}};
  controller.table.servers = dns::own_addresses(app->server_->bound(), dns::interface_addresses());
  controller.server_addresses = config.server_addresses;
  controller.service = config.service;
  controller.reach_file = config.reach_file;
  controller.table_file = config.table_file;
  controller.table_max_age = config.table_max_age;
  app->disk_ = std::make_unique<Worker>(loop, 2);
  app->controller_ = std::make_unique<Controller>(
      loop, *process.store, process.random, std::move(controller),
      [raw = app.get()](std::shared_ptr<const dns::Table> table) {
        raw->server_->publish(std::move(table));
      },
      [raw = app.get()](const std::vector<Prefix>& own) { raw->server_->allow(own); },
      background_of(*app->disk_));
  app->dns_metrics_ = std::make_unique<dns::ServerMetrics>(process.metrics, *app->server_);
  process.metrics.before_scrape([raw = app.get()] { raw->refresh_metrics(); });
  const auto readiness = [raw = app.get()] {
    // DNS works without the store, so a replica with a table stays in the Service.
    auto reasons = raw->controller_->not_ready();
    return reasons.empty() ? reasons : api::with_store(std::move(reasons), *raw->process_.store);
  };
  if (auto served = process.serve_status(config, readiness); !served) {
    return fail(std::move(served.error()));
  }
  for (const auto& at : app->server_->bound())
    log_info("DNS server listens", {{"address", at.to_string()}});
  return app;
}

void App::run() {
  const auto trim = process_.loop.every(kGiveBackEvery, give_back_memory);
  Handle limit;
  process_.run([&](const std::function<void()>& done) {
    // An API server that does not answer must not hold up the end of the process.
    limit = process_.loop.after(std::chrono::seconds(2), done);
    controller_->release(done);
  });
}

void App::refresh_metrics() {
  dns_metrics_->refresh();
  auto& metrics = process_.metrics;
  metrics
      .gauge("causeway_clusterset_services", "Services of the clusterset that this replica knows.")
      .set(static_cast<double>(controller_->view().services.size()));
  metrics
      .gauge("causeway_discovery_incomplete_exports",
             "Exports of this cluster that lack endpoints of their Service.")
      .set(static_cast<double>(controller_->incomplete_exports()));
  metrics.gauge("causeway_discovery_writes_total", "Objects written to the store.")
      .set(static_cast<double>(controller_->writes()));
  metrics.gauge("causeway_dns_table_build_seconds", "Time to build the newest DNS table.")
      .set(std::chrono::duration<double>(controller_->last_build()).count());
  const auto age = controller_->kept_table_age();
  metrics.gauge("causeway_dns_kept_table", "1 while names are served from the table on disk.")
      .set(age ? 1 : 0);
  metrics
      .gauge("causeway_dns_kept_table_age_seconds",
             "Age of the table on disk while names are served from it.")
      .set(age ? std::chrono::duration<double>(*age).count() : 0);
  metrics
      .gauge("causeway_dns_follows_route_agent",
             "1 while the store is away and the route agent of this host says which clusters are "
             "reached.")
      .set(controller_->follows_route_agent() ? 1 : 0);
  metrics.gauge("causeway_dns_table_file_errors_total", "Failed writes of the table on disk.")
      .set(static_cast<double>(controller_->table_file_errors()));
  metrics.gauge("causeway_discovery_leader", "1 if this replica writes.")
      .set(controller_->leader() ? 1 : 0);
}

}  // namespace cw::discovery
