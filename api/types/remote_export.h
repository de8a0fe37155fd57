// causeway.dev/v1alpha1 RemoteExport: one remote cluster's export of one Service, in the Service's
// namespace, named "<service>.<cluster>". Written by the gateway that holds the import Lease.
#pragma once

#include "api/types/export_record.h"

namespace cw::api {

struct RemoteExport {
  static constexpr Kind kKind = Kind::kRemoteExport;
  ObjectMeta meta;
  ExportRecord spec;
  struct Status {
    bool stale = false;      // its cluster is not connected now
    WallTime stale_since{};  // zero unless stale
    friend bool operator==(const Status&, const Status&) = default;
  } status;
  friend bool operator==(const RemoteExport&, const RemoteExport&) = default;
};

}  // namespace cw::api
