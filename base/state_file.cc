#include "base/state_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

namespace cw {

namespace {

namespace fs = std::filesystem;

std::string folder_of(const std::string& path) {
  const auto folder = fs::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

Result<> write_all(const UniqueFd& fd, std::string_view text, const std::string& path) {
  while (!text.empty()) {
    const auto n = ::write(fd.get(), text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return fail(errno_error(errno, path));
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  if (::fsync(fd.get()) != 0) return fail(errno_error(errno, path));
  return {};
}

Result<> make_folder(const std::string& folder) {
  std::error_code error;
  if (fs::is_directory(folder, error)) return {};
  fs::create_directories(fs::path(folder).parent_path(), error);
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    return fail(errno_error(errno, folder));
  }
  return {};
}

}  // namespace

Result<std::string> read_state_file(const std::string& path, std::size_t most) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd && errno == ENOENT) return fail(Errc::kNotFound, path + ": no such file");
  struct stat status {};
  if (!fd || ::fstat(fd.get(), &status) != 0) return fail(errno_error(errno, path));
  if (!S_ISREG(status.st_mode)) return fail(Errc::kInvalid, path + " is not a regular file");
  auto text = read_rest(fd, most, path);
  if (!text || text->size() <= most) return text;
  return fail(Errc::kTooLarge, fmt::format("{}: more than {} bytes", path, most));
}

Result<> write_state_file(const std::string& path, std::string_view text) {
  const auto folder = folder_of(path);
  if (auto made = make_folder(folder); !made) return made;
  const auto temporary = path + ".tmp";
  {
    const UniqueFd fd(
        ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd) return fail(errno_error(errno, temporary));
    if (auto done = write_all(fd, text, temporary); !done) {
      (void)::unlink(temporary.c_str());
      return done;
    }
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) return fail(errno_error(errno, path));
  return sync_folder(folder);
}

Result<> remove_state_file(const std::string& path) {
  if (::unlink(path.c_str()) == 0) return sync_folder(folder_of(path));
  if (errno == ENOENT) return {};
  return fail(errno_error(errno, path));
}

Result<> create_file(const std::string& path, std::string_view text, unsigned mode) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  if (!fd) return fail(errno_error(errno, path));
  return write_all(fd, text, path);
}

Result<> sync_folder(const std::string& folder) {
  const UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) return fail(errno_error(errno, folder));
  return {};
}

Result<std::string> read_rest(const UniqueFd& fd, std::size_t most, const std::string& path) {
  std::string text;
  char buffer[16384];
  while (text.size() <= most) {
    const auto n = ::read(fd.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(errno_error(errno, path));
    if (n == 0) break;
    text.append(buffer, static_cast<std::size_t>(n));
  }
  return text;
}

}  // namespace cw
