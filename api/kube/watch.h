// One watch. When the server ends it after its time limit (every 5 to 10 minutes), it continues at
// the version it had reached. Any other end is an error.
#pragma once

#include "api/kube/client.h"
#include "api/kube/lines.h"
#include "api/store/store.h"
#include "base/random.h"

namespace cw::api::kube {

[[nodiscard]] Handle start_watch(Loop& loop, Random& random, Client& client, Selector selector,
                                 std::string resource_version, WatchHandler handler);

}  // namespace cw::api::kube
