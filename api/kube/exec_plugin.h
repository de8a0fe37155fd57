// Runs a kubeconfig's exec plugin (client.authentication.k8s.io) beside the loop: its standard
// output is read as it comes, at most 1 MiB and 60 s.
#pragma once

#include <functional>

#include "api/kube/kubeconfig.h"
#include "base/loop.h"

namespace cw::api::kube {

// `done` on the loop thread. Dropping the handle ends the program.
[[nodiscard]] Handle run_exec_plugin(Loop& loop, const ExecPlugin& plugin,
                                     std::function<void(Result<ExecCredential>)> done);

}  // namespace cw::api::kube
