#include "discovery/app.h"

#include "api/store/trouble.h"
#include "base/process_metrics.h"
#include "discovery/dns/own_addresses.h"

namespace cw::discovery {

Result<std::unique_ptr<App>> App::start(EventLoop& loop, const StartConfig& config) {
  std::unique_ptr<App> app(new App);
  auto clients = dns::loopback();
  clients.insert(clients.end(), config.allow_from.begin(), config.allow_from.end());
  auto server = dns::Server::start({config.listen, config.workers, config.tcp, config.rate,
                                    app->random_.next(), std::move(clients)});
  if (!server) return fail(Errc::kInvalid, server.error().text);
  app->server_ = std::move(*server);
  auto store = api::open_store(loop, app->random_, config.store);
  if (!store) return fail(store.error());
  app->store_ = std::move(*store);
  add_process_metrics(loop, app->metrics_);
  api::add_store_metrics(*app->store_, app->metrics_);

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
      loop, *app->store_, app->random_, std::move(controller),
      [raw = app.get()](std::shared_ptr<const dns::Table> table) {
        raw->server_->publish(std::move(table));
      },
      [raw = app.get()](const std::vector<Prefix>& own) { raw->server_->allow(own); },
      background_of(*app->disk_));
  app->dns_metrics_ = std::make_unique<dns::ServerMetrics>(app->metrics_, *app->server_);
  app->metrics_.before_scrape([raw = app.get()] { raw->refresh_metrics(); });
  if (config.status) {
    auto status = StatusServer::listen(loop, *config.status, app->metrics_, [raw = app.get()] {
      // DNS works without the store, so a replica with a table stays in the Service.
      auto reasons = raw->controller_->not_ready();
      return reasons.empty() ? reasons : api::with_store(std::move(reasons), *raw->store_);
    });
    if (!status) return fail(Errc::kInvalid, status.error().text);
    app->status_ = std::move(*status);
  }
  for (const auto& at : app->server_->bound())
    log_info("DNS server listens", {{"address", at.to_string()}});
  return app;
}

void App::refresh_metrics() {
  dns_metrics_->refresh();
  metrics_
      .gauge("causeway_clusterset_services", "Services of the clusterset that this replica knows.")
      .set(static_cast<double>(controller_->view().services.size()));
  metrics_
      .gauge("causeway_discovery_incomplete_exports",
             "Exports of this cluster that lack endpoints of their Service.")
      .set(static_cast<double>(controller_->incomplete_exports()));
  metrics_.gauge("causeway_discovery_writes_total", "Objects written to the store.")
      .set(static_cast<double>(controller_->writes()));
  metrics_.gauge("causeway_dns_table_build_seconds", "Time to build the newest DNS table.")
      .set(std::chrono::duration<double>(controller_->last_build()).count());
  const auto age = controller_->kept_table_age();
  metrics_.gauge("causeway_dns_kept_table", "1 while names are served from the table on disk.")
      .set(age ? 1 : 0);
  metrics_
      .gauge("causeway_dns_kept_table_age_seconds",
             "Age of the table on disk while names are served from it.")
      .set(age ? std::chrono::duration<double>(*age).count() : 0);
  metrics_
      .gauge("causeway_dns_follows_route_agent",
             "1 while the store is away and the route agent of this host says which clusters are "
             "reached.")
      .set(controller_->follows_route_agent() ? 1 : 0);
  metrics_.gauge("causeway_dns_table_file_errors_total", "Failed writes of the table on disk.")
      .set(static_cast<double>(controller_->table_file_errors()));
  metrics_.gauge("causeway_discovery_leader", "1 if this replica writes.")
      .set(controller_->leader() ? 1 : 0);
}

}  // namespace cw::discovery
