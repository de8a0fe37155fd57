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

  app->disk_ = std::make_unique<Worker>(loop, 2);
  auto* dns = app->server_.get();
  app->coordinator_ = std::make_unique<Coordinator>(
      loop, *process.store, process.random, config,
      Outlet{[dns](std::shared_ptr<const dns::Table> table) { dns->publish(std::move(table)); },
             [dns](const std::vector<Prefix>& own) { dns->allow(own); },
             dns::own_addresses(dns->bound(), dns::interface_addresses())},
      background_of(*app->disk_));
  app->dns_metrics_ = std::make_unique<dns::ServerMetrics>(process.metrics, *app->server_);
  process.metrics.before_scrape([raw = app.get()] { raw->refresh_metrics(); });
  const auto readiness = [raw = app.get()] {
    // DNS works without the store, so a replica with a table stays in the Service.
    auto reasons = raw->coordinator_->not_ready();
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
    coordinator_->release(done);
  });
}

void App::refresh_metrics() {
  dns_metrics_->refresh();
  const auto set = [&](const char* name, const char* help, double value) {
    process_.metrics.gauge(name, help).set(value);
  };
  const auto in_seconds = [](Duration duration) {
    return std::chrono::duration<double>(duration).count();
  };
  const auto& names = coordinator_->names();
  set("causeway_clusterset_services", "Services of the clusterset that this replica knows.",
      static_cast<double>(names.view().services.size()));
  set("causeway_discovery_incomplete_exports",
      "Exports of this cluster that lack endpoints of their Service.",
      static_cast<double>(coordinator_->exports().incomplete()));
  set("causeway_discovery_writes_total", "Objects written to the store.",
      static_cast<double>(coordinator_->objects().writes()));
  set("causeway_dns_table_build_seconds", "Time to build the newest DNS table.",
      in_seconds(names.last_build()));
  const auto age = coordinator_->kept().age();
  set("causeway_dns_kept_table", "1 while names are served from the table on disk.", age ? 1 : 0);
  set("causeway_dns_kept_table_age_seconds",
      "Age of the table on disk while names are served from it.", age ? in_seconds(*age) : 0);
  set("causeway_dns_follows_route_agent",
      "1 while the store is away and the route agent of this host says which clusters are reached.",
      coordinator_->reach().used() ? 1 : 0);
  set("causeway_dns_table_file_errors_total", "Failed writes of the table on disk.",
      static_cast<double>(coordinator_->table_file_errors()));
  set("causeway_discovery_leader", "1 if this replica writes.", coordinator_->leader() ? 1 : 0);
}

}  // namespace cw::discovery
