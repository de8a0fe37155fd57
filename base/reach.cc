#include "base/reach.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <optional>

#include "base/number.h"
#include "base/unique_fd.h"

namespace cw {

namespace {

constexpr std::string_view kHead = "causeway-reach 1 ";
constexpr std::size_t kMostName = 63;
constexpr std::size_t kMostBytes = kMostReachClusters * (kMostName + 3) + 64;

std::optional<std::string_view> take_line(std::string_view& text) {
  const auto size = text.find('\n');
  if (size == std::string_view::npos) return std::nullopt;
  const auto line = text.substr(0, size);
  text.remove_prefix(size + 1);
  return line;
}

bool is_label(std::string_view name) {
  return !name.empty() && name.size() <= kMostName &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string_view::npos;
}

bool others_may_write(const struct stat& status) {
  return (status.st_uid != 0 && status.st_uid != ::geteuid()) ||
         (status.st_mode & (S_IWGRP | S_IWOTH)) != 0;
}

}  // namespace

std::string reach_text(const Reach& reach) {
  auto out = fmt::format("{}{}\n", kHead, reach.at.time_since_epoch().count());
  for (const auto& [cluster, reached] : reach.clusters) {
    out += fmt::format("{} {}\n", reached ? '1' : '0', cluster);
  }
  out += fmt::format("end {}\n", reach.clusters.size());
  return out;
}

Result<Reach> parse_reach(std::string_view text) {
  const auto wrong = [](std::string_view what) {
    return fail(Errc::kInvalid, fmt::format("reach: {}", what));
  };
  const auto head = take_line(text);
  if (!head || !head->starts_with(kHead)) return wrong("the version is unknown");
  const auto at = number_of<std::int64_t>(head->substr(kHead.size()));
  if (!at || *at < 0) return wrong("the time is missing or invalid");
  Reach reach{TimePoint(Duration(*at)), {}};
  for (;;) {
    const auto line = take_line(text);
    if (!line) return wrong("the end is missing");
    if (line->starts_with("end ")) {
      const auto count = number_of<std::size_t>(line->substr(4));
      if (!count || *count != reach.clusters.size() || !text.empty())
        return wrong("the end does not match the lines before it");
      return reach;
    }
    const bool reached = line->starts_with("1 ");
    if ((!reached && !line->starts_with("0 ")) || !is_label(line->substr(2))) {
      return wrong("a line has no cluster id");
    }
    if (reach.clusters.size() >= kMostReachClusters) return wrong("too many clusters");
    if (!reach.clusters.emplace(line->substr(2), reached).second)
      return wrong("a cluster is listed twice");
  }
}

Result<> write_reach(const std::string& path, const Reach& reach) {
  const auto folder = std::filesystem::path(path).parent_path();
  std::error_code error;
  std::filesystem::create_directories(folder, error);  // open() below reports a failure
  const auto temporary = path + ".tmp";
  (void)::unlink(temporary.c_str());  // a file that another user has prepared must not be reused
  const UniqueFd fd(
      ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!fd) return fail(errno_error(errno, temporary));
  const auto text = reach_text(reach);
  if (::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
      ::fchmod(fd.get(), 0644) != 0 || ::rename(temporary.c_str(), path.c_str()) != 0) {
    return fail(errno_error(errno, path));
  }
  return {};
}

Result<Reach> read_reach(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW));
  if (!fd && errno == ENOENT) return fail(Errc::kNotFound, path + ": no such file");
  struct stat file {};
  struct stat folder {};
  const auto parent = std::filesystem::path(path).parent_path();
  if (!fd || ::fstat(fd.get(), &file) != 0 || ::stat(parent.c_str(), &folder) != 0) {
    return fail(errno_error(errno, path));
  }
  if (!S_ISREG(file.st_mode)) return fail(Errc::kInvalid, path + " is not a regular file");
  if (others_may_write(file) || others_may_write(folder)) {
    return fail(Errc::kDenied, path + ": users other than root may write it or its folder");
  }
  std::string text(kMostBytes + 1, '\0');
  const auto n = ::read(fd.get(), text.data(), text.size());
  if (n < 0) return fail(errno_error(errno, path));
  text.resize(static_cast<std::size_t>(n));
  return parse_reach(text);
}

}  // namespace cw
