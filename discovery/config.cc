#include "discovery/config.h"

#include <unistd.h>

#include <array>
#include <thread>

#include "discovery/dns/own_addresses.h"

namespace cw::discovery {
namespace {

void read_limits(ConfigMap& map, Config& config) {
  map.read_map("tcp", [&](ConfigMap& tcp) {
    tcp.read_within<std::chrono::nanoseconds>("idle", config.tcp.idle, std::chrono::seconds(1),
                                              std::chrono::minutes(10));
    tcp.read_within("connections", config.tcp.connections, 1U, 65536U);
    tcp.read_within("perClient", config.tcp.per_client, 1U, 65536U);
  });
  map.read_map("rateLimit", [&](ConfigMap& rate) {
    rate.read_within("responses", config.rate.per_second, 0U, 10'000'000U);
    rate.read("burst", config.rate.burst);
    rate.read("slip", config.rate.slip);
    rate.read_within("v4Length", config.rate.v4_length, 0U, 32U);
    rate.read_within("v6Length", config.rate.v6_length, 0U, 128U);
    rate.read_up_to("exempt", config.rate.exempt, 256);
  });
}

void read_server_addresses(ConfigMap& map, Config& config) {
  std::vector<std::string> texts;
  map.read_up_to("serverAddresses", texts, dns::kMostOwnAddresses);
  for (const auto& text : texts) {
    const auto address = IpAddress::parse(text);
    if (!address) return map.problem("serverAddresses", address.error().text);
    config.server_addresses.push_back(*address);
  }
  map.read("service", config.service);
}

void read_table_file(ConfigMap& map, Config& config) {
  map.read_path("reachFile", config.reach_file);
  map.read_path("tableFile", config.table_file);
  map.read_within<std::chrono::nanoseconds>("tableMaxAge", config.table_max_age,
                                            std::chrono::minutes(1), std::chrono::hours(24 * 30));
}

Result<Config> read(ConfigMap map) {
  Config config;
  read_daemon_config(map, config);
  map.require("listen", config.listen);
  if (map.has("listen") && config.listen.empty()) {
    map.problem("listen", "want at least one address:port");
  }
  map.read_within<std::chrono::nanoseconds>("ttl", config.ttl, std::chrono::seconds(1),
                                            std::chrono::hours(1));
  map.read_within<std::chrono::nanoseconds>("negativeTtl", config.negative_ttl,
                                            std::chrono::seconds(1), std::chrono::hours(1));
  map.read_within("workers", config.workers, 0U, 256U);
  map.read("identity", config.identity);
  std::string vip = "endpoints";
  map.read_choice("vip", vip, {"endpoints", "clusterip"});
  config.derive = vip == "clusterip";
  map.read("exportNamespaces", config.export_namespaces);
  map.read("staleDrop", config.stale_drop);
  map.read_up_to("allowFrom", config.allow_from, 1024);
  read_limits(map, config);
  read_server_addresses(map, config);
  read_table_file(map, config);
  if (auto good = map.finish(); !good) return fail(std::move(good.error()));
  if (config.identity.empty()) {
    std::array<char, 256> host{};
    (void)::gethostname(host.data(), host.size() - 1);  // else the process id must do
    config.identity = std::string(host.data()) + "-" + std::to_string(::getpid());
  }
  if (config.workers == 0) config.workers = std::max(1U, std::thread::hardware_concurrency());
  return config;
}

}  // namespace

Result<Config> load_config(const std::string& path) {
  return read_config(ConfigMap::load(path), read);
}

}  // namespace cw::discovery
