// The route agent's metrics. Loop thread only.
#pragma once

#include <chrono>
#include <set>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "routeagent/agent.h"

namespace cw::routeagent {

struct Agent::AgentMetrics {
  explicit AgentMetrics(Metrics& metrics)
      : all(metrics),
        routes(metrics.gauge("causeway_routeagent_routes", "Routes to remote clusters.")),
        errors(metrics.gauge("causeway_routeagent_errors",
                             "Failed steps and wrong inputs of the last pass.")),
        passes(metrics.counter("causeway_routeagent_passes_total", "Passes over the kernel.")),
        steps(metrics.counter("causeway_routeagent_steps_total", "Changes made in the kernel.")),
        switches(metrics.counter("causeway_routeagent_switches_total",
                                 "Remote clusters that changed their gateway.")),
        rules_before(metrics.gauge("causeway_routeagent_rules_before",
                                   "Rules of other programs that take pods' packets before ours.")),
        host_unserved(metrics.gauge("causeway_routeagent_host_unserved",
                                    "1 while the host has no address inside a prefix of its pods, "
                                    "so that its own processes reach no remote pod.")),
        unconfirmed(metrics.counter("causeway_routeagent_handovers_unconfirmed_total",
                                    "Handovers that ended without a confirmation.")) {}
  void gateway(std::uint32_t ordinal, const tunnel::ProbeView& view) {
    const MetricLabels labels{{"gateway", std::to_string(ordinal)}};
    all.gauge("causeway_routeagent_gateway_up", "1 while the gateway answers probes.", labels)
        .set(view.usable ? 1 : 0);
    all.gauge("causeway_routeagent_gateway_rtt_seconds", "Round trip to the gateway.", labels)
        .set(std::chrono::duration<double>(view.rtt).count());
    known.insert(ordinal);
  }
  void keep_only(const std::set<std::uint32_t>& ordinals) {
    for (auto at = known.begin(); at != known.end();) {
      if (ordinals.count(*at) != 0) {
        ++at;
        continue;
      }
      const MetricLabels labels{{"gateway", std::to_string(*at)}};
      all.forget("causeway_routeagent_gateway_up", labels);
      all.forget("causeway_routeagent_gateway_rtt_seconds", labels);
      at = known.erase(at);
    }
  }

  void left_out(const std::vector<LeftOut>& nodes) {
    const auto* name = "causeway_routeagent_overlay_left_out";
    for (const auto& labels : apart) all.forget(name, labels);
    apart.clear();
    for (const auto& node : nodes) {
      apart.push_back({{"node", node.node}, {"theirs", node.theirs}, {"ours", node.ours}});
      all.gauge(name, "1 for a node that exchanges no frames with this one, and what differs.",
                apart.back())
          .set(1);
    }
  }

  Metrics& all;
  Gauge& routes;
  Gauge& errors;
  Counter& passes;
  Counter& steps;
  Counter& switches;
  Gauge& rules_before;
  Gauge& host_unserved;
  Counter& unconfirmed;
  std::set<std::uint32_t> known;
  std::vector<MetricLabels> apart;
};

}  // namespace cw::routeagent
