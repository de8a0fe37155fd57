#include "gateway/config.h"

#include <fmt/format.h>

namespace cw::gateway {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

void read_duration(ConfigMap& map, std::string_view key, Duration& value, Duration least,
                   Duration most) {
  map.read(key, value);
  if (value >= least && value <= most) return;
  map.mistake(key, fmt::format("must be between {}ms and {}ms",
                               std::chrono::duration_cast<milliseconds>(least).count(),
                               std::chrono::duration_cast<milliseconds>(most).count()));
}

void read_log(ConfigMap& log, StartConfig& config) {
  std::string level = "info";
  log.read("level", level);
  if (auto parsed = parse_log_level(level)) {
    config.log_level = *parsed;
  } else {
    log.mistake("level", parsed.error().text);
  }
  log.read("json", config.log_json);
}

void read_tunnel(ConfigMap& map, StartConfig& config) {
  std::string driver = "auto";
  map.read("driver", driver);
  if (auto parsed = tunnel::parse_driver(driver)) {
    config.tunnel.choice = *parsed;
  } else {
    map.mistake("driver", parsed.error().text);
  }
  map.read("userspaceProgram", config.tunnel.userspace_program);
  map.read_map("engine", [&](ConfigMap& engine) {
    auto& switches = config.tunnel.engine;
    engine.read("workers", switches.workers);
    if (switches.workers > 64) engine.mistake("workers", "must be at most 64");
    engine.read("tso", switches.tso);
    engine.read("uso", switches.uso);
    engine.read("gso", switches.gso);
    engine.read("gro", switches.gro);
    engine.read("aead", switches.aead);
    if (switches.aead != "auto" && switches.aead != "openssl" && switches.aead != "ipsec-mb") {
      engine.mistake("aead", "must be auto, openssl or ipsec-mb");
    }
  });
  read_duration(map, "keepalive", config.keepalive, seconds(1), seconds(65535));
}

Result<StartConfig> read(ConfigMap map) {
  StartConfig config;
  map.require("store", config.store);
  map.read("namespace", config.ns);
  map.read_map("log", [&](ConfigMap& log) { read_log(log, config); });
  if (map.has("status")) {
    Endpoint at;
    map.read("status", at);
    config.status = at;
  }
  map.require("ordinal", config.ordinal);
  if (config.ordinal > 65535) map.mistake("ordinal", "must be at most 65535");
  map.require("node", config.node);
  if (map.has("node") && config.node.empty()) map.mistake("node", "must not be empty");
  map.read("listenPort", config.listen_port);
  if (config.listen_port == 0) map.mistake("listenPort", "must not be 0");
  map.read("rulePriority", config.rule_priority);
  if (config.rule_priority < 1 || config.rule_priority > netlink::kMostRulePriority) {
    map.mistake("rulePriority",
                fmt::format("must be between 1 and {}", netlink::kMostRulePriority));
  }
  map.read("endpoints", config.endpoints);
  if (config.endpoints.size() > 16) map.mistake("endpoints", "must be at most 16");
  map.read("privateKeyFile", config.private_key_file);
  map.read("exportNamespaces", config.export_namespaces);
  // Not a setting: the route agent's guards know the device by its name, also before the gateway
  // has ever run and after it died (docs/operations/fail-closed.md).
  config.tunnel.interface = netlink::kTunnelLink;
  map.read_map("tunnel", [&](ConfigMap& tunnel) { read_tunnel(tunnel, config); });
  map.read_map("probe", [&](ConfigMap& probe) {
    read_duration(probe, "interval", config.probe_interval, milliseconds(10), seconds(60));
    probe.read("lost", config.probe_lost);
    if (config.probe_lost < 1 || config.probe_lost > 32) {
      probe.mistake("lost", "must be between 1 and 32");
    }
  });
  read_duration(map, "drain", config.drain, Duration::zero(), std::chrono::minutes(10));
  map.read_map("feed", [&](ConfigMap& feed) {
    read_duration(feed, "heartbeat", config.heartbeat, milliseconds(100), seconds(60));
    feed.read("connectionsPerSecond", config.feed_connections);
    if (config.feed_connections < 1 || config.feed_connections > 1000) {
      feed.mistake("connectionsPerSecond", "must be between 1 and 1000");
    }
  });
  if (auto good = map.finish(); !good) return fail(std::move(good.error()));
  return config;
}

}  // namespace

Result<StartConfig> parse_config(std::string_view text, const std::string& name) {
  auto map = ConfigMap::parse(text, name);
  if (!map) return fail(std::move(map.error()));
  return read(std::move(*map));
}

Result<StartConfig> load_config(const std::string& path) {
  auto map = ConfigMap::load(path);
  if (!map) return fail(std::move(map.error()));
  return read(std::move(*map));
}

}  // namespace cw::gateway
