#include "routeagent/config.h"

#include "api/store/open.h"

namespace cw::routeagent {

namespace {

void read_overlay(ConfigMap& map, Config& config) {
  std::string mode = "vxlan";
  map.read_choice("overlay", mode, {"vxlan", "wireguard"});
  config.overlay = parse_overlay_mode(mode).value_or(OverlayMode::kVxlan);
  config.hop_tunnel.interface = netlink::kHopLink;
  // With UDP segmentation offload, nft would see several VXLAN packets as one, and check the inner
  // MAC of the first one only.
  config.hop_tunnel.engine.uso = false;
  map.read_map("nodeTunnel", [&](ConfigMap& hop) {
    hop.read_within<std::uint16_t>("port", config.hop_port, 1, 65535);
    std::string driver = "auto";
    hop.read("driver", driver);
    if (auto parsed = tunnel::parse_driver(driver)) {
      config.hop_tunnel.choice = *parsed;
    } else {
      hop.problem("driver", parsed.error().text);
    }
    hop.read("userspaceProgram", config.hop_tunnel.userspace_program);
  });
}

Result<Config> read(ConfigMap map) {
  Config config;
  read_daemon_config(map, config);
  read_node(map, config.node);
  map.read_map("probe", [&](ConfigMap& probe) {
    probe.read_within<Duration>("interval", config.probe_interval, std::chrono::milliseconds(10),
                                std::chrono::minutes(1));
    probe.read_within("lost", config.probe_lost, 1U, 32U);
  });
  map.read_within<Duration>("holdDown", config.hold_down, Duration::zero(), std::chrono::hours(24));
  map.read_path("reachFile", config.reach_file);
  map.read_path("stateDir", config.state_dir);
  map.read_within("rulePriority", config.rules.bypass, 1U, netlink::kMostRulePriority);
  map.read_within<Duration>("resync", config.resync, std::chrono::seconds(1),
                            std::chrono::hours(24));
  // On Kubernetes the CNI needs forwarding too, whether it or this agent turns it on first.
  std::string forwarding = api::is_folder(config.store) ? "own" : "all";
  map.read_choice("forwarding", forwarding, {"own", "all"});
  config.forward_ours_only = forwarding == "own";
  read_overlay(map, config);
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

}  // namespace cw::routeagent
