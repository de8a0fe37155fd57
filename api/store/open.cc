#include "api/store/open.h"

#include <fmt/format.h>

#include <cerrno>

#include "api/dir/dir_store.h"
#include "api/kube/kube_store.h"

namespace cw::api {
namespace {

constexpr std::string_view kDir = "dir:";
constexpr std::string_view kKube = "kube:";

}  // namespace

Result<std::unique_ptr<Store>> open_store(Loop& loop, Random& random, const std::string& address) {
  if (address.rfind(kDir, 0) == 0 && address.size() > kDir.size()) {
    return open_dir_store(loop, random, address.substr(kDir.size()));
  }
  if (address.rfind(kKube, 0) == 0) {
    auto access = kube::find_access(address.substr(kKube.size()));
    if (!access) return fail(std::move(access.error()));
    return std::make_unique<kube::KubeStore>(loop, random, std::move(*access),
                                             program_invocation_short_name);
  }
  return fail(Errc::kInvalid,
              fmt::format("store \"{}\": want dir:/path or kube:[FILE][#CONTEXT]", address));
}

bool daemons_make_secrets(std::string_view address) { return address.rfind(kDir, 0) == 0; }

}  // namespace cw::api
