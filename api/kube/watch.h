// One watch: a stream of events that goes on at the version it had reached when the server ends it
// in time (every few minutes), and ends with an error otherwise.
#pragma once

#include "api/kube/client.h"
#include "api/kube/lines.h"
#include "api/store/store.h"
#include "base/random.h"

namespace cw::api::kube {

[[nodiscard]] Handle start_watch(Loop& loop, Random& random, Client& client, Selector selector,
                                 std::string resource_version, WatchHandler handler);

}  // namespace cw::api::kube
