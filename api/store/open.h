// Opens a store by its address: "dir:/path". kInvalid: not such an address. The folder is made when
// missing; a path that cannot be used is kUnavailable or kDenied.
#pragma once

#include <memory>
#include <string>

#include "api/store/store.h"
#include "base/random.h"

namespace cw::api {

[[nodiscard]] Result<std::unique_ptr<Store>> open_store(Loop& loop, Random& random,
                                                        const std::string& address);

}  // namespace cw::api
