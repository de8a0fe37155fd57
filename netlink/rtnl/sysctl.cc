// Sysctls and nftables.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

#include "base/unique_fd.h"
#include "netlink/conntrack/conntrack.h"
#include "netlink/nft/nft.h"
#include "netlink/rtnl/state.h"

namespace cw::netlink {

namespace {

Result<std::string> sysctl_path(const std::string& path) {
  const bool clean = !path.empty() && path.front() != '/' && path.find("..") == std::string::npos &&
                     path.find_first_not_of(
                         "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                         "0123456789_/-.") == std::string::npos;
  if (!clean) return fail(Errc::kInvalid, fmt::format("sysctl \"{}\"", path));
  return "/proc/sys/net/" + path;
}

}  // namespace

Result<std::string> RtnlKernel::sysctl(const std::string& path) {
  const auto file = sysctl_path(path);
  if (!file) return fail(file.error());
  const UniqueFd fd(::open(file->c_str(), O_RDONLY | O_CLOEXEC));
  char buffer[256];
  const auto n = fd ? ::read(fd.get(), buffer, sizeof buffer) : -1;
  if (n < 0) return fail(errno_error(errno, *file));
  std::string value(buffer, static_cast<std::size_t>(n));
  while (!value.empty() && value.back() == '\n') value.pop_back();
  return value;
}

Result<> RtnlKernel::set_sysctl(const std::string& path, const std::string& value) {
  const auto now = sysctl(path);
  if (now && *now == value) return {};
  if (!now) return fail(now.error());
  const auto file = sysctl_path(path);
  UniqueFd fd(::open(file->c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd && errno == EROFS) {
    // A container that is not privileged sees /proc/sys read-only. Its pod may mount the host's at
    // /host/proc/sys (the chart does). There, too, /proc/sys/net shows the reader's own network
    // namespace.
    fd.reset(::open(("/host" + *file).c_str(), O_WRONLY | O_CLOEXEC));
    if (!fd) return fail(errno_error(EROFS, *file));
  }
  if (!fd || ::write(fd.get(), value.data(), value.size()) != static_cast<ssize_t>(value.size())) {
    return fail(errno_error(errno, *file));
  }
  return {};
}

Result<unsigned> RtnlKernel::forget_translated_flows(std::span<const Prefix> remotes) {
  return netlink::forget_translated_flows(remotes);
}

Result<> RtnlKernel::apply_nft(const std::string& text) {
  auto output = nft_run({"-f", "-"}, text);
  if (!output) return fail(std::move(output.error()));
  return {};
}

Result<std::string> RtnlKernel::dump_nft(const std::string& table) {
  auto output = nft_run({"-s", "list", "table", "inet", table}, "");
  if (!output && output.error().code == Errc::kNotFound) return std::string();
  return output;
}

Result<> RtnlKernel::remove_nft(const std::string& table) {
  // `add` first, in the same transaction: otherwise `delete` fails if there is no table.
  return apply_nft(fmt::format("add table inet {0}\ndelete table inet {0}\n", table));
}

}  // namespace cw::netlink
