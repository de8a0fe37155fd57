#include "discovery/config.h"

#include <unistd.h>

#include <array>
#include <thread>

#include "base/config.h"

namespace cw::discovery {

Result<StartConfig> load_config(const std::string& path) {
  auto map = ConfigMap::load(path);
  if (!map) return fail(map.error());
  StartConfig config;
  std::string level = "info";
  map->require("store", config.store);
  map->read("namespace", config.ns);
  map->require("listen", config.listen);
  if (map->has("listen") && config.listen.empty())
    map->mistake("listen", "want at least one address:port");
  map->read("ttl", config.ttl);
  map->read("negativeTtl", config.negative_ttl);
  for (const auto& [key, value] :
       {std::pair{"ttl", config.ttl}, {"negativeTtl", config.negative_ttl}}) {
    if (value < std::chrono::seconds(1) || value > std::chrono::hours(1)) {
      map->mistake(key, "want 1s to 1h");
    }
  }
  map->read("workers", config.workers);
  if (config.workers > 256) map->mistake("workers", "want at most 256");
  map->read("identity", config.identity);
  std::string vip = "endpoints";
  map->read("vip", vip);
  if (vip != "endpoints" && vip != "clusterip") map->mistake("vip", "want endpoints or clusterip");
  config.derive = vip == "clusterip";
  map->read("exportNamespaces", config.export_namespaces);
  map->read("staleDrop", config.stale_drop);
  if (map->has("status")) map->read("status", config.status.emplace());
  map->read_map("log", [&](ConfigMap& log) {
    log.read("level", level);
    log.read("json", config.log_json);
    if (const auto parsed = parse_log_level(level)) {
      config.log_level = *parsed;
    } else {
      log.mistake("level", parsed.error().text);
    }
  });
  if (auto ok = map->finish(); !ok) return fail(ok.error());
  if (config.identity.empty()) {
    std::array<char, 256> host{};
    (void)::gethostname(host.data(), host.size() - 1);  // without a name the pid alone must do
    config.identity = std::string(host.data()) + "-" + std::to_string(::getpid());
  }
  if (config.workers == 0) config.workers = std::max(1U, std::thread::hardware_concurrency());
  return config;
}

}  // namespace cw::discovery
