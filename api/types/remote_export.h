// causeway.dev/v1alpha1 RemoteExport: one remote cluster's export of one Service. It lies in the
// Service's namespace and is named "<service>.<cluster>". The gateway with the import Lease writes
// it. It has no status, because the ClusterPeer already says whether the cluster is connected. Its
// creation is when this cluster first saw the export, and counts for precedence.
#pragma once

#include "api/types/export_record.h"

namespace cw::api {

struct RemoteExport {
  static constexpr Kind kKind = Kind::kRemoteExport;
  ObjectMeta meta;
  ExportRecord spec;
  // The export is not imported, because this cluster exports the name itself. `spec` then has only
  // the cluster and the Service.
  bool kept_out = false;
  friend bool operator==(const RemoteExport&, const RemoteExport&) = default;
};

}  // namespace cw::api
