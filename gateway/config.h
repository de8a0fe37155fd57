// The gateway's configuration file (docs/configuration.md), immutable once read.
#pragma once

#include <string>
#include <vector>

#include "base/contact.h"
#include "base/loop.h"
#include "daemon/config.h"
#include "netlink/owner.h"
#include "tunnel/driver.h"

namespace cw::gateway {

struct Config : DaemonConfig {
  std::uint32_t ordinal = 0;
  std::string node;
  std::uint16_t listen_port = 4500;
  std::uint32_t rule_priority = netlink::kBypassPriority;  // the first of six (netlink/owner.h)
  std::vector<Contact> endpoints;  // empty: those of `service`, else the node's with listen_port
  std::string service;             // the Service of this gateway, in `ns`; empty: none
  std::string private_key_file;    // empty: the Secret
  tunnel::DriverConfig tunnel;
  Duration keepalive = std::chrono::seconds(5);
  Duration probe_interval = std::chrono::milliseconds(100);
  std::uint32_t probe_lost = 3;
  Duration heartbeat = std::chrono::seconds(1);
  std::uint32_t feed_connections = 5;          // new ones per second and remote gateway
  std::vector<std::string> export_namespaces;  // opened for export; empty: all
  Duration drain = std::chrono::seconds(1);
};

// kInvalid with "NAME:LINE: key: what" for the first problem.
[[nodiscard]] Result<Config> parse_config(std::string_view text, const std::string& name);
[[nodiscard]] Result<Config> load_config(const std::string& path);

}  // namespace cw::gateway
