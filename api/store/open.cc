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

bool is_folder(std::string_view address) { return address.rfind(kDir, 0) == 0; }

Result<> check_address(std::string_view address) {
  if (is_folder(address) ? address.size() > kDir.size() : address.rfind(kKube, 0) == 0) return {};
  return fail(Errc::kInvalid,
              fmt::format("\"{}\": want dir:/path or kube:[FILE][#CONTEXT]", address));
}

Result<std::unique_ptr<Store>> open_store(Loop& loop, Random& random, const std::string& address) {
  if (auto good = check_address(address); !good) {
    return fail(std::move(good.error()).context("store"));
  }
  if (is_folder(address)) return open_dir_store(loop, random, address.substr(kDir.size()));
  auto access = kube::find_access(address.substr(kKube.size()));
  if (!access) return fail(std::move(access.error()));
  return std::make_unique<kube::KubeStore>(loop, random, std::move(*access),
                                           program_invocation_short_name);
}

bool daemons_make_secrets(std::string_view address) { return is_folder(address); }

}  // namespace cw::api
