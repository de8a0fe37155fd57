// What every resource has, and the list of kinds. Shapes follow Kubernetes' ObjectMeta and
// metav1.Condition. Each kind has one struct and one list of its JSON fields in the files of this
// folder.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/loop.h"

namespace cw::api {

enum class Kind {
  kClusterPeer,
  kTunnelGateway,
  kRouteAgent,
  kRemoteExport,
  kServiceExport,
  kServiceImport,
  kClusterProperty,
  kService,
  kServiceCidr,
  kEndpointSlice,
  kNode,
  kNamespace,
  kSecret,
  kLease,
  kEvent,  // written, never read (api/store/events.h)
  // Only read, and each may be absent (api/types/cni_kinds.h):
  kConfigMap,
  kCalicoBlockV1,
  kCalicoBlockV3,
  kCalicoPoolV1,
  kCalicoPoolV3,
  kCalicoIpamBlockV1,
  kCalicoIpamBlockV3,
  kCalicoIpamConfigV1,
  kCalicoIpamConfigV3,
  kCiliumNode,
  kNodeNetworkConfig,
  kOpenShiftNetwork,
};

struct KindInfo {
  Kind kind;
  std::string_view name;         // "ClusterPeer"
  std::string_view plural;       // "clusterpeers": part of the URL
  std::string_view api_version;  // "causeway.dev/v1alpha1"; core kinds: "v1"
  bool namespaced;
  // Another program's kind. A cluster need not have it, and two may have the same plural.
  bool foreign = false;
};
[[nodiscard]] const KindInfo& info(Kind kind);
[[nodiscard]] std::span<const KindInfo> all_kinds();

struct ObjectKey {
  std::string ns;  // empty for cluster-scoped kinds
  std::string name;
  [[nodiscard]] std::string to_string() const { return ns.empty() ? name : ns + "/" + name; }
  friend auto operator<=>(const ObjectKey&, const ObjectKey&) = default;
};

struct ObjectMeta {
  ObjectKey key;
  std::string uid;
  std::string resource_version;  // opaque; only compared for equality
  std::int64_t generation = 0;   // grows when the spec changes
  WallTime created{};            // whole seconds, set by the store
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> annotations;
  friend bool operator==(const ObjectMeta&, const ObjectMeta&) = default;
};

enum class ConditionStatus { kTrue, kFalse, kUnknown };

// metav1.Condition.
struct Condition {
  std::string type;
  ConditionStatus status = ConditionStatus::kUnknown;
  std::string reason;   // CamelCase, for programs
  std::string message;  // one sentence, for people
  std::int64_t observed_generation = 0;
  WallTime last_transition{};
  friend bool operator==(const Condition&, const Condition&) = default;
};
// Replaces the condition of the same type with `next`. last_transition becomes `now` only if the
// status changed. True: something other than the time changed.
bool set_condition(std::vector<Condition>& conditions, Condition next, WallTime now);
[[nodiscard]] const Condition* find_condition(const std::vector<Condition>& conditions,
                                              std::string_view type);

// RFC 3339 in UTC, whole seconds: "2026-01-02T03:04:05Z".
[[nodiscard]] std::string format_time(WallTime time);
[[nodiscard]] Result<WallTime> parse_time(std::string_view text);

// RFC 1123 label: 1 to 63 of [a-z0-9-], alphanumeric at both ends. Cluster ids are such labels.
[[nodiscard]] bool is_dns_label(std::string_view text);

}  // namespace cw::api
