// causeway.dev/v1alpha1 RemoteExport: one remote cluster's export of one Service, in the Service's
// namespace, named "<service>.<cluster>". Written by the gateway that holds the import Lease. It
// has no status: whether its cluster can be reached is said once, by the ClusterPeer. Its creation
// is when this cluster first saw the export, and counts for precedence.
#pragma once

#include "api/types/export_record.h"

namespace cw::api {

struct RemoteExport {
  static constexpr Kind kKind = Kind::kRemoteExport;
  ObjectMeta meta;
  ExportRecord spec;
  // The export is not imported, because this cluster exports the name itself. The object only says
  // so: of `spec` it has the cluster and the Service.
  bool kept_out = false;
  friend bool operator==(const RemoteExport&, const RemoteExport&) = default;
};

}  // namespace cw::api
