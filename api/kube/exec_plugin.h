// Runs a kubeconfig's exec plugin (client.authentication.k8s.io) without blocking the loop. Reads
// at most 1 MiB of its standard output, for at most 60 s.
#pragma once

#include <functional>

#include "api/kube/kubeconfig.h"
#include "base/loop.h"

namespace cw::api::kube {

// `done` runs on the loop thread. Destroying the handle kills the program.
[[nodiscard]] Handle run_exec_plugin(Loop& loop, const ExecPlugin& plugin,
                                     std::function<void(Result<ExecCredential>)> done);

}  // namespace cw::api::kube
