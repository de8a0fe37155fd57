// JSON codecs, one pair per kind, chosen by template argument. The form is Kubernetes' own, in
// camelCase. decode() checks types, formats and limits, and names the wrong field ("spec.clusterId:
// ..."). It ignores unknown fields, so objects of newer versions can be read. encode() writes
// apiVersion, kind, metadata, spec and status.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "api/types/cluster_peer.h"
#include "api/types/cluster_property.h"
#include "api/types/cni_kinds.h"
#include "api/types/endpoint_slice.h"
#include "api/types/lease.h"
#include "api/types/namespace.h"
#include "api/types/node.h"
#include "api/types/remote_export.h"
#include "api/types/route_agent.h"
#include "api/types/secret.h"
#include "api/types/service.h"
#include "api/types/service_cidr.h"
#include "api/types/service_export.h"
#include "api/types/service_import.h"
#include "api/types/tunnel_gateway.h"

namespace cw::api {

template <typename T>
[[nodiscard]] Result<T> decode(const nlohmann::json& body);  // instantiated for each kind
template <typename T>
[[nodiscard]] nlohmann::json encode(const T& object);

}  // namespace cw::api
