// Which endpoints of a Service take new connections. DNS names, virtual IPs and `causewayctl
// resolve` all use this one rule: items 1 to 3 of docs/protocol/dns.md. Pure.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "api/names.h"
#include "api/types/cluster_peer.h"
#include "api/types/export_record.h"

namespace cw::api {

// Annotations that an export may carry (spec.exportedAnnotations).
inline constexpr std::string_view kPolicyPrefix = "causeway.dev/";

// The paired clusters that no gateway of this cluster reaches, and since when. The epoch: unknown
// since when. Their endpoints are stale.
using Away = std::map<std::string, WallTime>;
[[nodiscard]] Away disconnected(
    const std::map<ObjectKey, std::shared_ptr<const ClusterPeer>>& peers);

// The exports of one Service, and the inputs that decide among them.
struct ServingInputs {
  std::vector<const ExportRecord*> records;
  const std::map<std::string, std::string>* wishes = nullptr;  // policy; may be null
  const std::set<std::string>& stale;                          // clusters without a working tunnel
  const std::string& local;                                    // the id of this cluster
};

// How clients find the endpoints.
enum class Access {
  kNames,      // by addresses in DNS: if no endpoint takes connections, all clusters are returned,
               // because a degraded answer is better than none
  kVirtualIp,  // by a proxy: it refuses then
};

struct Serving {
  std::set<std::string> clusters;   // their endpoints take new connections
  std::set<std::string> fall_back;  // clusters in which no endpoint is ready
  // True: the endpoint of `cluster` takes connections, if its cluster does or if a client names it.
  [[nodiscard]] bool takes(const std::string& cluster, const ExportEndpoint& endpoint) const {
    return endpoint.ready || (endpoint.fallback() && fall_back.count(cluster) != 0);
  }
};

// The clusters are all that are not stale. With prefer or failover it is only the first cluster in
// that order with a ready endpoint. If no cluster has one, it is the first with an endpoint that
// terminates and still serves. For `fall_back` the serving clusters count as one cluster.
[[nodiscard]] Serving serving_of(const ServingInputs& inputs, Access access);

}  // namespace cw::api
