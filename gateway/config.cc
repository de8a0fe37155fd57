#include "gateway/config.h"

namespace cw::gateway {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kMaxEndpoints = 16;
constexpr std::uint32_t kMaxOrdinalList = 63;  // the last ordinal with a list of its own

void read_tunnel(ConfigMap& map, Config& config) {
  std::string driver = "auto";
  map.read("driver", driver);
  if (auto parsed = tunnel::parse_driver(driver)) {
    config.tunnel.choice = *parsed;
  } else {
    map.problem("driver", parsed.error().text);
  }
  map.read("userspaceProgram", config.tunnel.userspace_program);
  map.read_map("engine", [&](ConfigMap& engine) {
    auto& switches = config.tunnel.engine;
    engine.read_within<std::uint16_t>("workers", switches.workers, 0, 64);
    engine.read("tso", switches.tso);
    engine.read("uso", switches.uso);
    engine.read("gso", switches.gso);
    engine.read("gro", switches.gro);
    engine.read_choice("aead", switches.aead, {"auto", "openssl", "ipsec-mb"});
  });
  map.read_within<Duration>("keepalive", config.keepalive, seconds(1), seconds(65535));
}

void read_endpoints(ConfigMap& map, Config& config) {
  map.read_up_to("endpoints", config.endpoints, kMaxEndpoints);
  // One file serves the pods of all ordinals, so the others' lists are read, too.
  map.read_map("endpointsOf", [&](ConfigMap& lists) {
    for (std::uint32_t ordinal = 0; ordinal <= kMaxOrdinalList; ++ordinal) {
      const auto key = std::to_string(ordinal);
      std::vector<Contact> list;
      lists.read_up_to(key, list, kMaxEndpoints);
      if (ordinal == config.ordinal && lists.has(key)) config.endpoints = std::move(list);
    }
  });
  map.read("service", config.service);
}

Result<Config> read(ConfigMap map) {
  Config config;
  read_daemon_config(map, config);
  map.require("ordinal", config.ordinal);
  if (config.ordinal > 65535) map.problem("ordinal", "want at most 65535");
  read_node(map, config.node);
  map.read_within<std::uint16_t>("listenPort", config.listen_port, 1, 65535);
  map.read_within("rulePriority", config.rule_priority, 1U, netlink::kMostRulePriority);
  read_endpoints(map, config);
  map.read("privateKeyFile", config.private_key_file);
  map.read("exportNamespaces", config.export_namespaces);
  // Not configurable: the route agent's guards know the device by its name, also before the gateway
  // has ever run and after it died (docs/operations/fail-closed.md).
  config.tunnel.interface = netlink::kTunnelLink;
  map.read_map("tunnel", [&](ConfigMap& tunnel) { read_tunnel(tunnel, config); });
  map.read_map("probe", [&](ConfigMap& probe) {
    probe.read_within<Duration>("interval", config.probe_interval, milliseconds(10), seconds(60));
    probe.read_within("lost", config.probe_lost, 1U, 32U);
  });
  map.read_within<Duration>("drain", config.drain, Duration::zero(), std::chrono::minutes(10));
  map.read_map("feed", [&](ConfigMap& feed) {
    feed.read_within<Duration>("heartbeat", config.heartbeat, milliseconds(100), seconds(60));
    feed.read_within("connectionsPerSecond", config.feed_connections, 1U, 1000U);
  });
  if (auto good = map.finish(); !good) return fail(std::move(good.error()));
  return config;
}

}  // namespace

Result<Config> parse_config(std::string_view text, const std::string& name) {
  return read_config(ConfigMap::parse(text, name), read);
}

Result<Config> load_config(const std::string& path) {
  return read_config(ConfigMap::load(path), read);
}

}  // namespace cw::gateway
