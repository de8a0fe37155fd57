// Opens a store by its address. kInvalid: not such an address, or an unusable kubeconfig.
//   dir:/path            a folder, created if missing; kUnavailable or kDenied: it cannot be used
//   kube:                the API server of the pod's service account, else of the user's kubeconfig
//   kube:/path#context   a kubeconfig (default: $KUBECONFIG or ~/.kube/config) and a context
//                        (default: the current one)
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "api/store/store.h"
#include "base/random.h"

namespace cw::api {

[[nodiscard]] Result<std::unique_ptr<Store>> open_store(Loop& loop, Random& random,
                                                        const std::string& address);

// kInvalid: not such an address. Looks at the text only.
[[nodiscard]] Result<> check_address(std::string_view address);

// True: `address` begins with dir:.
[[nodiscard]] bool is_folder(std::string_view address);

// True: daemons create missing Secrets in the store at `address`. They do so in a folder. On an API
// server the chart's hook does it: a process that may create Secrets can create a token of any
// service account of the namespace.
[[nodiscard]] bool daemons_make_secrets(std::string_view address);

}  // namespace cw::api
