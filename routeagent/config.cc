#include "routeagent/config.h"

#include <fmt/format.h>

namespace cw::routeagent {

namespace {

void read_duration(ConfigMap& map, std::string_view key, Duration& value, Duration least,
                   std::string_view least_text) {
  map.read(key, value);
  if (value < least) map.mistake(key, fmt::format("must be at least {}", least_text));
}

void read_overlay(ConfigMap& map, Config& config) {
  std::string mode = "vxlan";
  map.read("overlay", mode);
  if (const auto parsed = parse_overlay_mode(mode)) {
    config.overlay = *parsed;
  } else {
    map.mistake("overlay", "must be vxlan or wireguard");
  }
  config.hop_tunnel.interface = netlink::kHopLink;
  // A super-packet of several VXLAN packets would be checked by the first one's MAC only.
  config.hop_tunnel.engine.uso = false;
  map.read_map("nodeTunnel", [&](ConfigMap& hop) {
    hop.read("port", config.hop_port);
    if (config.hop_port == 0) hop.mistake("port", "must not be 0");
    std::string driver = "auto";
    hop.read("driver", driver);
    if (auto parsed = tunnel::parse_driver(driver)) {
      config.hop_tunnel.choice = *parsed;
    } else {
      hop.mistake("driver", parsed.error().text);
    }
    hop.read("userspaceProgram", config.hop_tunnel.userspace_program);
  });
}

Result<Config> read(ConfigMap map) {
  Config config;
  map.require("store", config.store);
  map.read("namespace", config.ns);
  map.read_map("log", [&](ConfigMap& log) {
    std::string level = "info";
    log.read("level", level);
    if (auto parsed = parse_log_level(level)) {
      config.log_level = *parsed;
    } else {
      log.mistake("level", parsed.error().text);
    }
    log.read("json", config.log_json);
  });
  if (map.has("status")) {
    Endpoint at;
    map.read("status", at);
    config.status = at;
  }
  map.require("node", config.node);
  if (map.has("node") && config.node.empty()) map.mistake("node", "must not be empty");
  map.read_map("probe", [&](ConfigMap& probe) {
    read_duration(probe, "interval", config.probe_interval, std::chrono::milliseconds(10), "10ms");
    probe.read("lost", config.probe_lost);
    if (config.probe_lost < 1 || config.probe_lost > 32) {
      probe.mistake("lost", "must be between 1 and 32");
    }
  });
  read_duration(map, "holdDown", config.hold_down, Duration::zero(), "0s");
  map.read("reachFile", config.reach_file);
  if (!config.reach_file.empty() && config.reach_file.front() != '/') {
    map.mistake("reachFile", "must be an absolute path");
  }
  map.read("stateDir", config.state_dir);
  if (config.state_dir.empty() || config.state_dir.front() != '/') {
    map.mistake("stateDir", "must be an absolute path");
  }
  map.read("rulePriority", config.rules.bypass);
  if (config.rules.bypass < 1 || config.rules.bypass > netlink::kMostRulePriority) {
    map.mistake("rulePriority",
                fmt::format("must be between 1 and {}", netlink::kMostRulePriority));
  }
  read_duration(map, "resync", config.resync, std::chrono::seconds(1), "1s");
  // On Kubernetes a node forwards for its CNI, whoever of us comes first.
  std::string forwarding = config.store.rfind("dir:", 0) == 0 ? "own" : "all";
  map.read("forwarding", forwarding);
  if (forwarding != "own" && forwarding != "all") map.mistake("forwarding", "want own or all");
  config.forward_ours_only = forwarding == "own";
  read_overlay(map, config);
  if (auto good = map.finish(); !good) return fail(std::move(good.error()));
  return config;
}

}  // namespace

Result<Config> parse_config(std::string_view text, const std::string& name) {
  auto map = ConfigMap::parse(text, name);
  if (!map) return fail(std::move(map.error()));
  return read(std::move(*map));
}

Result<Config> load_config(const std::string& path) {
  auto map = ConfigMap::load(path);
  if (!map) return fail(std::move(map.error()));
  return read(std::move(*map));
}

}  // namespace cw::routeagent
