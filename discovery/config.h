// The configuration file of causeway-discovery (docs/configuration.md).
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/prefix.h"
#include "daemon/config.h"
#include "discovery/dns/server.h"

namespace cw::discovery {

struct Config : DaemonConfig {
  std::vector<Endpoint> listen;
  std::chrono::nanoseconds ttl = std::chrono::seconds(5);
  std::chrono::nanoseconds negative_ttl = std::chrono::seconds(2);
  std::uint32_t workers = 0;                   // 0: one per CPU
  std::string identity;                        // empty: host name and process id
  bool derive = false;                         // vip: clusterip
  std::vector<std::string> export_namespaces;  // empty: all
  std::chrono::nanoseconds stale_drop = std::chrono::hours(24);
  dns::TcpLimits tcp;
  dns::ResponseRateConfig rate;
  std::vector<Prefix> allow_from;  // in addition to the cluster's own pods and nodes
  // The addresses of ns.dns.clusterset.local: these; if empty, those of the Service `service` in
  // `ns`; if that has none, those at which the server listens.
  std::vector<IpAddress> server_addresses;
  std::string service;
  std::string reach_file;  // written by the host's route agent (base/reach.h); empty: none
  std::string table_file;  // the table for a start without the store; empty: none is kept
  std::chrono::nanoseconds table_max_age = std::chrono::hours(24);
};

[[nodiscard]] Result<Config> load_config(const std::string& path);

}  // namespace cw::discovery
