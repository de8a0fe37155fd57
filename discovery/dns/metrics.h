// What the server's threads counted, as Prometheus metrics: summed when somebody scrapes.
// Names and labels: docs/protocol/dns.md. Loop thread; outlives neither the Metrics nor the Server.
#pragma once

#include <map>
#include <string>

#include "base/metrics.h"
#include "discovery/dns/server.h"

namespace cw::discovery::dns {

class ServerMetrics {
 public:
  ServerMetrics(Metrics& metrics, const Server& server);
  // Brings counters and gauges up to date; the histograms read for themselves.
  void refresh();

 private:
  void refresh_queries();
  void refresh_connections();
  void count(const std::string& name, const std::string& help, const MetricLabels& labels,
             std::uint64_t now);

  Metrics& metrics_;
  const Server& server_;
  std::map<Counter*, std::uint64_t> counted_;  // what each had at the last scrape
};

}  // namespace cw::discovery::dns
