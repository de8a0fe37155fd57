#include "api/store/open.h"

#include <fmt/format.h>

#include "api/dir/dir_store.h"

namespace cw::api {

Result<std::unique_ptr<Store>> open_store(Loop& loop, Random& random, const std::string& address) {
  constexpr std::string_view kDir = "dir:";
  if (address.rfind(kDir, 0) == 0 && address.size() > kDir.size()) {
    return open_dir_store(loop, random, address.substr(kDir.size()));
  }
  return fail(Errc::kInvalid, fmt::format("store \"{}\": want dir:/path", address));
}

}  // namespace cw::api
