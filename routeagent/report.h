// What this node tells people: the status of its RouteAgent with its conditions, and Events about
// switches. Loop thread only.
#pragma once

#include "api/store/events.h"
#include "api/store/switch_events.h"
#include "netlink/repairs.h"
#include "routeagent/deps.h"
#include "routeagent/status.h"

namespace cw::routeagent {

// The part of a status that is neither Seen nor Decision.
struct Findings {
  tunnel::ProbeViews probes;
  std::uint32_t routes = 0;
  std::vector<std::string> errors;
  std::vector<homing::Silence> silences;
  std::vector<LeftOut> left_out;
  std::vector<std::string> closed;  // cluster ids
  std::vector<std::string> not_ready;
  std::string hostless;
  std::vector<std::string> obstacles;  // as in Surroundings
  std::vector<std::string> doubts;
};

class Report {
 public:
  // `spec`: what this node publishes.
  Report(const Deps& deps, const api::RouteAgent::Spec& spec);

  void publish(const Seen& seen, const Decision& decision, const Findings& found);
  void add(const api::SwitchNote& note) { switches_.add(note); }
  // Objects of ours that another program had removed, and that are there again.
  void add_repairs(const std::map<std::string, std::size_t>& restored) { repairs_.add(restored); }
  // Why the store does not have our spec; empty: it has it.
  [[nodiscard]] std::string trouble() const { return status_.trouble(); }

 private:
  void set_condition(const char* type, bool holds, const char* yes, const char* no,
                     const std::string& message);
  void set_pod_network(const Findings& found);

  Loop& loop_;
  StatusWriter status_;
  api::SwitchEvents switches_;
  api::EventRecorder recorder_;
  netlink::Repairs repairs_;
  std::vector<api::Condition> conditions_;
};

}  // namespace cw::routeagent
