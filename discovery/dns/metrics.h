// The counters of the server's threads as Prometheus metrics, summed at each scrape. Names and
// labels: docs/protocol/dns.md. Loop thread only. Must not outlive the Metrics or the Server.
#pragma once

#include <map>
#include <string>

#include "base/metrics.h"
#include "discovery/dns/server.h"

namespace cw::discovery::dns {

class ServerMetrics {
 public:
  ServerMetrics(Metrics& metrics, const Server& server);
  // Updates counters and gauges. The histograms are read at the scrape itself.
  void refresh();

 private:
  void refresh_queries();
  void refresh_connections();
  void count(const std::string& name, const std::string& help, const MetricLabels& labels,
             std::uint64_t now);

  Metrics& metrics_;
  const Server& server_;
  std::map<Counter*, std::uint64_t> counted_;  // the value of each at the last scrape
};

}  // namespace cw::discovery::dns
