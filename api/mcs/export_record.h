// What a cluster exports for one ServiceExport, by the MCS rules (KEP-1645). Shared by the gateway,
// which announces the records, and discovery, which sets the conditions. export_book.h applies it
// to all exports. Pure.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/names.h"
#include "api/types/endpoint_slice.h"
#include "api/types/export_record.h"
#include "api/types/service.h"
#include "api/types/service_export.h"
#include "base/prefix_set.h"

namespace cw::api {

inline constexpr std::size_t kMaxExportEndpoints = 5000;  // per record; ready ones are kept first
inline constexpr std::size_t kMaxExportPorts = 256;       // per record
inline constexpr std::size_t kMaxPortSets = 64;           // per record
inline constexpr std::size_t kMaxTargetPorts = 1024;      // of all port sets of one record
inline constexpr std::size_t kMaxExportMetadata = 16 << 10;  // bytes of labels plus annotations
inline constexpr std::size_t kMaxExportLabels = 1024;  // labels, and the same number of annotations

struct ExportVerdict {
  // Type "Valid". True: Valid. False: NoService, UnreadableService, InvalidServiceType,
  // InvalidName, TooLarge, NamespaceNotOpen, or OverShare (only from an ExportBook, by
  // api/mcs/shares.h). The writer sets last_transition (set_condition). observed_generation is the
  // export's.
  Condition valid;
  std::optional<ExportRecord> record;  // present exactly if `valid` is True
  // Type "Reachable", status False: the record lacks endpoints of the Service. Reasons:
  // OutsideCidrs, TooManyEndpoints, Unreadable. No value: it has all of them.
  std::optional<Condition> lacking;
  friend bool operator==(const ExportVerdict&, const ExportVerdict&) = default;
};

// Everything that decides about one export. A null `service` does not exist. `slices` must hold
// only slices of this Service, in any order.
struct ExportInputs {
  std::string_view cluster;
  const ServiceExport& service_export;
  const Service* service = nullptr;
  std::span<const std::shared_ptr<const EndpointSlice>> slices;
  const PrefixSet& cidrs;  // announced by the cluster; endpoints outside are left out
  bool open = true;        // an administrator opened its namespace for export
  // Why the newest version of an object cannot be read. Empty: it can. If not, the last readable
  // version counts.
  std::string_view unreadable_service = {};
  std::string_view unreadable_slice = {};
};

// Endpoints are merged by addresses and ports, and sorted. An endpoint listens on the ports of its
// slice. Its hostname is the pod's. It is the dashed IP if the pod has none, or if the full name
// <hostname>.<cluster>.<service>.<namespace>.svc.clusterset.local would exceed DNS limits. An
// endpoint without a usable hostname also has its pod's name. The conditions tell what was left out
// or changed.
[[nodiscard]] ExportVerdict judge_export(const ExportInputs& inputs);

// "10.244.0.52" -> "10-244-0-52", "fd00::5" -> "fd00--5". Always a DNS label: a 0 is added at a
// leading or trailing dash.
[[nodiscard]] std::string dashed_ip(const IpAddress& address);

}  // namespace cw::api
