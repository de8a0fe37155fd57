// Reads from a store what its cluster says about itself (pair.h).
#pragma once

#include "cli/pair.h"
#include "cli/session.h"

namespace cw::cli {

[[nodiscard]] Result<OwnCluster> own_cluster(Session& session);

}  // namespace cw::cli
