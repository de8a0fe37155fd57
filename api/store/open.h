// Opens a store by its address. kInvalid: not such an address.
//   dir:/path            a folder, made when missing; kUnavailable or kDenied if it cannot be used
//   kube:                the API server of the pod's service account, else of the user's kubeconfig
//   kube:/path#context   of that kubeconfig (else $KUBECONFIG or ~/.kube/config) and context (else
//                        the current one)
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "api/store/store.h"
#include "base/random.h"

namespace cw::api {

[[nodiscard]] Result<std::unique_ptr<Store>> open_store(Loop& loop, Random& random,
                                                        const std::string& address);

// Whether daemons make the Secrets that are missing in the store at `address`. In a folder they
// do so. On an API server the chart's hook does, because a process that may create Secrets can
// create a token of any service account of the namespace.
[[nodiscard]] bool daemons_make_secrets(std::string_view address);

}  // namespace cw::api
