// Whose endpoints take new connections: one rule for virtual IPs, for names, and for what
// `causewayctl resolve` explains. Pure.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "api/types/export_record.h"

namespace cw::api {

// Annotations among an export's exportedAnnotations.
inline constexpr std::string_view kPolicyPrefix = "causeway.dev/";
inline constexpr std::string_view kPrefer = "causeway.dev/prefer";      // "local"
inline constexpr std::string_view kFailover = "causeway.dev/failover";  // "west,north": in order

// The exports of one Service, and what decides among them.
struct ServingInputs {
  std::vector<const ExportRecord*> records;
  const std::map<std::string, std::string>* wishes = nullptr;  // annotations; null: none
  const std::set<std::string>& stale;                          // clusters that are away
  const std::string& local;                                    // this cluster
};

// Whether an endpoint takes new connections if none of its service is ready, or if some are.
[[nodiscard]] inline bool takes_traffic(const ExportEndpoint& endpoint, bool none_ready) {
  return endpoint.ready || (none_ready && endpoint.fallback());
}
// Whether no endpoint of `clusters` is ready.
[[nodiscard]] bool none_ready(const std::vector<const ExportRecord*>& records,
                              const std::set<std::string>& clusters);

// The clusters whose endpoints take connections: all but those that are away. With prefer or
// failover it is the first in order that has a ready endpoint; if no cluster has one, the first
// with an endpoint that terminates and still serves.
[[nodiscard]] std::set<std::string> serving_clusters(const ServingInputs& inputs);

// The same for names. If no cluster that serves has an endpoint that takes connections, all
// clusters: a degraded answer beats none.
[[nodiscard]] std::set<std::string> answering_clusters(const ServingInputs& inputs);

}  // namespace cw::api
