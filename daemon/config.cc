#include "daemon/config.h"

#include "api/store/open.h"

namespace cw {

void read_daemon_config(ConfigMap& map, DaemonConfig& config) {
  map.require("store", config.store);
  if (auto good = api::check_address(config.store); !good) map.problem("store", good.error().text);
  map.read("namespace", config.ns);
  map.read_map("log", [&](ConfigMap& log) {
    std::string level = "info";
    log.read("level", level);
    if (const auto parsed = parse_log_level(level)) {
      config.log_level = *parsed;
    } else {
      log.problem("level", parsed.error().text);
    }
    log.read("json", config.log_json);
  });
  if (map.has("status")) map.read("status", config.status.emplace());
}

void read_node(ConfigMap& map, std::string& node) {
  map.require("node", node);
  if (map.has("node") && node.empty()) map.problem("node", "want the name of a node");
}

}  // namespace cw
