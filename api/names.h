// The names of Causeway's objects in a cluster, and the labels and annotations that it writes or
// reads. The chart (charts/causeway) uses the same names.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace cw::api {

inline constexpr std::string_view kDefaultNamespace =
    "causeway-system";  // unless configured otherwise

// Writers: in managedFields and as the source of Events.
inline constexpr const char* kGatewayWriter = "causeway-gateway";
inline constexpr const char* kAgentWriter = "causeway-routeagent";
inline constexpr const char* kDiscoveryWriter = "causeway-discovery";

// Secrets, and the entries in them. Each gateway has a Secret of its own: "causeway-gateway-0".
[[nodiscard]] inline std::string key_secret(std::uint32_t ordinal) {
  return "causeway-gateway-" + std::to_string(ordinal);
}
inline constexpr std::string_view kOverlaySecret = "causeway-overlay-key";
inline constexpr std::string_view kOverlayEntry = "key";
inline constexpr std::size_t kOverlayKeyBytes = 32;
inline constexpr std::string_view kPrivateKeyEntry = "privateKey";
inline constexpr std::string_view kPresharedKeyEntry = "presharedKey";

// Leases.
inline constexpr std::string_view kImportLease = "causeway-import";  // of the gateways
inline constexpr std::string_view kDiscoveryLease = "causeway-discovery";
inline constexpr std::array kLeases = {kImportLease, kDiscoveryLease};

// ClusterProperties (KEP-2149).
inline constexpr std::string_view kClusterIdProperty = "cluster.clusterset.k8s.io";

// Annotations of a TunnelGateway and of a ServiceExport.
inline constexpr std::string_view kDrainAnnotation = "causeway.dev/drain";
inline constexpr std::string_view kPrefer = "causeway.dev/prefer";      // "local"
inline constexpr std::string_view kFailover = "causeway.dev/failover";  // "west,north": in order

// Labels of EndpointSlices and of objects that follow from exports (KEP-1645).
inline constexpr std::string_view kServiceNameLabel = "kubernetes.io/service-name";
inline constexpr std::string_view kManagedByLabel = "endpointslice.kubernetes.io/managed-by";
inline constexpr std::string_view kImportedServiceLabel = "multicluster.kubernetes.io/service-name";
inline constexpr std::string_view kSourceClusterLabel = "multicluster.kubernetes.io/source-cluster";

}  // namespace cw::api
