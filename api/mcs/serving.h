// Which clusters' endpoints take new connections. DNS names, virtual IPs and `causewayctl resolve`
// all use this rule. Pure.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "api/names.h"
#include "api/types/export_record.h"

namespace cw::api {

// Annotations that an export may carry (spec.exportedAnnotations).
inline constexpr std::string_view kPolicyPrefix = "causeway.dev/";

// The exports of one Service, and the inputs that decide among them.
struct ServingInputs {
  std::vector<const ExportRecord*> records;
  const std::map<std::string, std::string>* wishes = nullptr;  // policy; may be null
  const std::set<std::string>& stale;                          // clusters without a working tunnel
  const std::string& local;                                    // the id of this cluster
};

// True: the endpoint takes new connections. `none_ready`: no endpoint of its Service is ready.
[[nodiscard]] inline bool takes_traffic(const ExportEndpoint& endpoint, bool none_ready) {
  return endpoint.ready || (none_ready && endpoint.fallback());
}
// True: no endpoint of `clusters` is ready.
[[nodiscard]] bool none_ready(const std::vector<const ExportRecord*>& records,
                              const std::set<std::string>& clusters);

// The clusters whose endpoints take new connections: all that are not stale. With prefer or
// failover it is only the first cluster in that order with a ready endpoint. If no cluster has one,
// it is the first with an endpoint that terminates and still serves.
[[nodiscard]] std::set<std::string> serving_clusters(const ServingInputs& inputs);

// The same for DNS names. If no serving cluster has an endpoint that takes connections, all
// clusters are returned: a degraded answer is better than none.
[[nodiscard]] std::set<std::string> answering_clusters(const ServingInputs& inputs);

}  // namespace cw::api
