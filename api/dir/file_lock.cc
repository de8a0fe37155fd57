#include "api/dir/file_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "base/unique_fd.h"

namespace cw::api {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kMostHolders = 4;  // named in one message

std::string first_line(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// True: the descriptor `number` of that process holds a lock. /proc/PID/fdinfo then has a "lock:"
// line.
bool holds_lock(const fs::path& process, const std::string& number) {
  std::ifstream file(process / "fdinfo" / number);
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("lock:", 0) == 0) return true;
  }
  return false;
}

bool has_locked(const fs::path& process, const struct stat& wanted) {
  std::error_code error;
  for (fs::directory_iterator at(process / "fd", error), end; !error && at != end;
       at.increment(error)) {
    struct stat status {};
    if (::stat(at->path().c_str(), &status) != 0) continue;
    if (status.st_dev == wanted.st_dev && status.st_ino == wanted.st_ino &&
        holds_lock(process, at->path().filename())) {
      return true;
    }
  }
  return false;
}

// "pid 12 (causewayctl), ..."; empty if this process cannot see the holder.
std::string holders(int fd) {
  struct stat wanted {};
  if (::fstat(fd, &wanted) != 0) return {};
  const auto own = std::to_string(::getpid());
  std::vector<std::string> found;
  std::error_code error;
  for (fs::directory_iterator at("/proc", error), end; !error && at != end; at.increment(error)) {
    const auto pid = at->path().filename().string();
    if (pid == own || pid.find_first_not_of("0123456789") != std::string::npos) continue;
    if (!has_locked(at->path(), wanted)) continue;
    found.push_back(fmt::format("pid {} ({})", pid, first_line(at->path() / "comm")));
    if (found.size() == kMostHolders) break;
  }
  return fmt::format("{}", fmt::join(found, ", "));
}

Result<UniqueFd> open_lock(const fs::path& path) {
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return fail(errno_error(errno, path.string()));
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return fail(errno_error(errno, path.string()));
  // Earlier versions created the file readable for every user.
  if ((status.st_mode & 0777U) != 0600U && ::fchmod(fd.get(), 0600) != 0) {
    return fail(errno_error(errno, path.string()));
  }
  return fd;
}

}  // namespace

Result<std::shared_ptr<void>> lock_file(const fs::path& path, std::chrono::milliseconds patience) {
  using Clock = std::chrono::steady_clock;
  constexpr std::chrono::milliseconds kMostPause{20};
  auto fd = open_lock(path);
  if (!fd) return fail(fd.error());
  const auto deadline = Clock::now() + patience;
  std::chrono::milliseconds pause{1};
  for (;;) {
    struct flock whole {};
    whole.l_type = F_WRLCK;
    whole.l_whence = SEEK_SET;
    if (::fcntl(fd->get(), F_OFD_SETLK, &whole) == 0) {
      return std::make_shared<UniqueFd>(std::move(*fd));  // closing it releases the lock
    }
    if (errno != EAGAIN && errno != EACCES && errno != EINTR) {
      return fail(errno_error(errno, path.string()));
    }
    if (Clock::now() + pause > deadline) break;
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, kMostPause);
  }
  const auto who = holders(fd->get());
  return fail(Errc::kUnavailable,
              fmt::format("{}: locked by {}", path.string(),
                          who.empty() ? "a process that cannot be seen from here" : who));
}

}  // namespace cw::api
