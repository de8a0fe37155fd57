#include "discovery/config.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <thread>

#include "base/config.h"
#include "discovery/dns/own_addresses.h"

namespace cw::discovery {

namespace {

void read_limits(ConfigMap& map, StartConfig& config) {
  map.read_map("tcp", [&](ConfigMap& tcp) {
    auto connections = static_cast<std::uint32_t>(config.tcp.connections);
    auto per_client = static_cast<std::uint32_t>(config.tcp.per_client);
    tcp.read("idle", config.tcp.idle);
    tcp.read("connections", connections);
    tcp.read("perClient", per_client);
    if (config.tcp.idle < std::chrono::seconds(1) || config.tcp.idle > std::chrono::minutes(10)) {
      tcp.mistake("idle", "want 1s to 10m");
    }
    if (connections < 1 || connections > 65536) tcp.mistake("connections", "want 1 to 65536");
    if (per_client < 1) tcp.mistake("perClient", "want at least 1");
    config.tcp.connections = connections;
    config.tcp.per_client = per_client;
  });
  map.read_map("rateLimit", [&](ConfigMap& rate) {
    rate.read("responses", config.rate.per_second);
    rate.read("burst", config.rate.burst);
    rate.read("slip", config.rate.slip);
    rate.read("v4Length", config.rate.v4_length);
    rate.read("v6Length", config.rate.v6_length);
    rate.read("exempt", config.rate.exempt);
    if (config.rate.per_second > 10'000'000) rate.mistake("responses", "want at most 10000000");
    if (config.rate.v4_length > 32) rate.mistake("v4Length", "want at most 32");
    if (config.rate.v6_length > 128) rate.mistake("v6Length", "want at most 128");
    if (config.rate.exempt.size() > 256) rate.mistake("exempt", "want at most 256 prefixes");
  });
}

void read_server_addresses(ConfigMap& map, StartConfig& config) {
  std::vector<std::string> texts;
  map.read("serverAddresses", texts);
  for (const auto& text : texts) {
    const auto address = IpAddress::parse(text);
    if (!address) return map.mistake("serverAddresses", address.error().text);
    config.server_addresses.push_back(*address);
  }
  if (texts.size() > dns::kMostOwnAddresses) {
    map.mistake("serverAddresses",
                fmt::format("want at most {} addresses", dns::kMostOwnAddresses));
  }
  map.read("service", config.service);
}

void read_table_file(ConfigMap& map, StartConfig& config) {
  map.read("reachFile", config.reach_file);
  if (!config.reach_file.empty() && config.reach_file.front() != '/') {
    map.mistake("reachFile", "want an absolute path");
  }
  map.read("tableFile", config.table_file);
  if (!config.table_file.empty() && config.table_file.front() != '/') {
    map.mistake("tableFile", "want an absolute path");
  }
  map.read("tableMaxAge", config.table_max_age);
  if (config.table_max_age < std::chrono::minutes(1) ||
      config.table_max_age > std::chrono::hours(24 * 30)) {
    map.mistake("tableMaxAge", "want 1m to 720h");
  }
}

}  // namespace

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
  map->read("allowFrom", config.allow_from);
  if (config.allow_from.size() > 1024) map->mistake("allowFrom", "want at most 1024 prefixes");
  read_limits(*map, config);
  read_server_addresses(*map, config);
  read_table_file(*map, config);
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
    (void)::gethostname(host.data(), host.size() - 1);  // else the process id must do
    config.identity = std::string(host.data()) + "-" + std::to_string(::getpid());
  }
  if (config.workers == 0) config.workers = std::max(1U, std::thread::hardware_concurrency());
  return config;
}

}  // namespace cw::discovery
