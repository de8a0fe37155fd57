// What a replica knew when it last had the store: all that its DNS table is made of. Kept in a file
// (table_keeper.h), so that a replica that starts while the store is away serves the names that it
// knew. The text has one JSON object a line: a header, the resources in Kubernetes' own form, and
// an end with their number, so that a file that was cut off is not taken for a whole one. Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "api/types/service_export.h"
#include "discovery/mcs/view.h"

namespace cw::discovery {

struct LastKnown {
  std::string cluster;       // our id
  std::uint32_t serial = 0;  // of the newest table
  Items<api::ClusterPeer> peers;
  Items<api::RemoteExport> remote;
  Items<api::ServiceExport> exports;        // ours, valid or not: only their names
  std::map<api::ObjectKey, RecordPtr> own;  // the records of the valid ones, by Service
  Items<api::Node> nodes;
  Items<api::Service> services;  // those whose addresses are given out
};

inline constexpr std::size_t kMostKnownBytes = std::size_t{256} << 20U;

[[nodiscard]] std::string last_known_text(const LastKnown& known);
// Any bytes. The whole text counts or none of it.
[[nodiscard]] Result<LastKnown> parse_last_known(std::string_view text);

// Tells `view`, which is new, all of it.
void tell(const LastKnown& known, ViewBook& view);

}  // namespace cw::discovery
