// The input of a replica's DNS table, as the replica last had it from the store. It is kept in a
// file (table_keeper.h). So a replica that starts while the store is away serves these names. The
// text has one JSON object per line: a header, the resources in Kubernetes' own form, and an end
// with their number. A file that was cut off is detected by its end. Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "api/types/service_export.h"
#include "discovery/mcs/view.h"

namespace cw::discovery {

struct LastKnown {
  std::string cluster;       // this cluster's id
  std::uint32_t serial = 0;  // of the newest table
  Items<api::ClusterPeer> peers;
  Items<api::RemoteExport> remote;
  Items<api::ServiceExport> exports;        // this cluster's, valid or not; only their names
  std::map<api::ObjectKey, RecordPtr> own;  // the records of the valid ones, by Service
  Items<api::Node> nodes;
  Items<api::Service> services;  // those whose addresses are in the table
};

inline constexpr std::size_t kMostKnownBytes = std::size_t{256} << 20U;

[[nodiscard]] std::string last_known_text(const LastKnown& known);
// `text` may be any bytes. A text with one wrong line is rejected as a whole.
[[nodiscard]] Result<LastKnown> parse_last_known(std::string_view text);

// Passes all of it to `view`, which must be new.
void fill(ViewBook& view, const LastKnown& known);

}  // namespace cw::discovery
