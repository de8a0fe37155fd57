// JSON codecs, one pair a kind, found by overload: the wire form is Kubernetes' own, camelCase.
// decode() checks types, formats and limits and names the field that is wrong ("spec.clusterId:
// ..."); unknown fields are ignored, so that a newer peer's objects still read. encode() writes
// apiVersion, kind, metadata, spec and status.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "api/types/cluster_peer.h"
#include "api/types/cluster_property.h"
#include "api/types/endpoint_slice.h"
#include "api/types/gateway.h"
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

namespace cw::api {

template <typename T>
[[nodiscard]] Result<T> decode(const nlohmann::json& body);  // specialised for each kind
template <typename T>
[[nodiscard]] nlohmann::json encode(const T& object);

}  // namespace cw::api
