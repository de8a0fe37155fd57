// The keys that every daemon's configuration file has (docs/configuration.md).
#pragma once

#include <optional>
#include <string>

#include "api/names.h"
#include "base/config.h"
#include "base/log.h"

namespace cw {

struct DaemonConfig {
  std::string store;                                     // an address; api/store/open.h
  std::string ns = std::string(api::kDefaultNamespace);  // of the daemon's own Secrets and Leases
  LogLevel log_level = LogLevel::kInfo;
  bool log_json = false;
  std::optional<Endpoint> status;  // where the status server listens; none: there is no server
};

// Reads the keys store, namespace, log and status.
void read_daemon_config(ConfigMap& map, DaemonConfig& config);

// The name of the node, which must not be empty.
void read_node(ConfigMap& map, std::string& node);

// What `read` makes of a file or a text; the error of ConfigMap if there is no mapping.
template <typename Config>
[[nodiscard]] Result<Config> read_config(Result<ConfigMap> map, Result<Config> (*read)(ConfigMap)) {
  if (!map) return fail(std::move(map.error()));
  return read(std::move(*map));
}

}  // namespace cw
