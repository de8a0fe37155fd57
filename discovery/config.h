// causeway-discovery's configuration file (docs/configuration.md).
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "base/prefix.h"
#include "discovery/dns/server.h"

namespace cw::discovery {

struct StartConfig {
  std::string store;
  std::string ns = "causeway-system";
  std::vector<Endpoint> listen;
  std::chrono::nanoseconds ttl = std::chrono::seconds(5);
  std::chrono::nanoseconds negative_ttl = std::chrono::seconds(2);
  std::uint32_t workers = 0;                   // 0: one a core
  std::string identity;                        // empty: host name and process id
  bool derive = false;                         // vip: clusterip
  std::vector<std::string> export_namespaces;  // empty: all
  std::chrono::nanoseconds stale_drop = std::chrono::hours(24);
  dns::TcpLimits tcp;
  dns::ResponseRateConfig rate;
  std::vector<Prefix> allow_from;  // beside the cluster's own pods and nodes
  // What ns.dns.clusterset.local resolves to: these; else the addresses of the Service `service` in
  // `ns`; else what the server listens at.
  std::vector<IpAddress> server_addresses;
  std::string service;
  std::string reach_file;  // what the route agent of this host says it reaches; empty: none
  std::string table_file;  // the last known table; empty: none is kept
  std::chrono::nanoseconds table_max_age = std::chrono::hours(24);
  std::optional<Endpoint> status;
  LogLevel log_level = LogLevel::kInfo;
  bool log_json = false;
};

[[nodiscard]] Result<StartConfig> load_config(const std::string& path);

}  // namespace cw::discovery
