// Reads from the store where the pods of its cluster are (prefixes/pod_network.h).
#pragma once

#include "cli/session.h"
#include "prefixes/pod_network.h"

namespace cw::cli {

// A kind that the cluster lacks has no objects. So have the ConfigMaps of other programs if the
// user may not read them. kInvalid: the ConfigMap causeway-prefixes is wrong.
[[nodiscard]] Result<prefixes::Objects> pod_network_objects(Session& session);

}  // namespace cw::cli
