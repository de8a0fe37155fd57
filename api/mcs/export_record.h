// What a cluster exports: the MCS rules (KEP-1645) for one ServiceExport, and a book of all of them
// that looks again only at what changed. Shared by the gateway, which announces the records, and
// discovery, which sets the conditions. Pure.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/types/endpoint_slice.h"
#include "api/types/export_record.h"
#include "api/types/service.h"
#include "api/types/service_export.h"
#include "base/prefix_set.h"

namespace cw::api {

inline constexpr std::string_view kServiceNameLabel = "kubernetes.io/service-name";
inline constexpr std::size_t kMaxExportEndpoints = 5000;     // of one record; ready ones first
inline constexpr std::size_t kMaxExportPorts = 256;          // of one record
inline constexpr std::size_t kMaxPortSets = 64;              // of one record
inline constexpr std::size_t kMaxTargetPorts = 1024;         // of all port sets of one record
inline constexpr std::size_t kMaxExportMetadata = 16 << 10;  // bytes of labels plus annotations
inline constexpr std::size_t kMaxExportLabels = 1024;        // labels, and as many annotations

struct ExportVerdict {
  // Type "Valid". True: Valid. False: NoService, UnreadableService, InvalidServiceType,
  // InvalidName, TooLarge, NamespaceNotOpen; OverShare (of a book only, by api/mcs/shares.h).
  // last_transition is left to who writes it (set_condition); observed_generation is the export's.
  Condition valid;
  std::optional<ExportRecord> record;  // present exactly if valid is true
  // Type "Reachable", False if the record lacks endpoints of the Service: OutsideCidrs,
  // TooManyEndpoints, Unreadable. None: it has all of them.
  std::optional<Condition> lacking;
  friend bool operator==(const ExportVerdict&, const ExportVerdict&) = default;
};

// Everything that decides about one export. Null service: there is none. Slices of other Services
// must not be among `slices`; their order does not matter.
struct ExportInputs {
  std::string_view cluster;
  const ServiceExport& service_export;
  const Service* service = nullptr;
  std::span<const std::shared_ptr<const EndpointSlice>> slices;
  const PrefixSet& cidrs;  // announced by the cluster: endpoints outside are left out
  bool open = true;        // the administrator opened its namespace for export
  // Why the newest version of an object could not be read; empty: it could. The last version that
  // could be read counts meanwhile.
  std::string_view unreadable_service = {};
  std::string_view unreadable_slice = {};
};

// Endpoints are merged by addresses and ports (ready if any slice says so) and sorted. An endpoint
// listens on the ports of its slice. It has its pod's hostname; the dashed IP where there is none,
// or where the full name <hostname>.<cluster>.<service>.<namespace>.svc.clusterset.local would
// exceed DNS limits. Pods without a hostname have their pod's name besides. What was left out or
// changed is said in the conditions.
[[nodiscard]] ExportVerdict judge_export(const ExportInputs& inputs);

// "10.244.0.52" -> "10-244-0-52", "fd00::5" -> "fd00--5"; always a DNS label (a leading or trailing
// dash is extended by a 0).
[[nodiscard]] std::string dashed_ip(const IpAddress& address);

}  // namespace cw::api
