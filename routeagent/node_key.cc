#include "routeagent/node_key.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <filesystem>

#include "base/unique_fd.h"

namespace cw::routeagent {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kText = 44;  // base64 of 32 bytes

Error wrong(const fs::path& path, std::string_view what) {
  return {Errc::kInvalid,
          fmt::format("node key {}: {}; remove the file to let the agent make a new key",
                      path.string(), what)};
}

Error failed(const fs::path& path, int error) {
  return errno_error(error, "node key " + path.string());
}

// kNotFound: there is no such file.
Result<tunnel::Key> read_key(const fs::path& path) {
  // Not O_NOFOLLOW's error text, and no waiting for the writer of a named pipe.
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd && errno == ENOENT) return fail(Errc::kNotFound, path.string());
  if (!fd && errno == ELOOP) return fail(wrong(path, "is a symbolic link"));
  if (!fd) return fail(failed(path, errno));
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return fail(failed(path, errno));
  if (!S_ISREG(status.st_mode)) return fail(wrong(path, "is not a regular file"));
  if ((status.st_mode & 077U) != 0) {
    return fail(wrong(path, fmt::format("has mode {:04o}, want 0600", status.st_mode & 07777U)));
  }
  std::array<char, kText + 2> text{};
  const auto size = ::read(fd.get(), text.data(), text.size());
  if (size < 0) return fail(failed(path, errno));
  std::string_view view(text.data(), static_cast<std::size_t>(size));
  if (!view.empty() && view.back() == '\n') view.remove_suffix(1);
  auto key = tunnel::Key::from_base64(view);
  OPENSSL_cleanse(text.data(), text.size());
  if (!key || key->is_zero()) return fail(wrong(path, "does not hold a base64 key"));
  return key;
}

Result<> write_all(const fs::path& path, std::string_view text) {
  const UniqueFd fd(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) return fail(failed(path, errno));
  while (!text.empty()) {
    const auto n = ::write(fd.get(), text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return fail(failed(path, errno));
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  if (::fsync(fd.get()) != 0) return fail(failed(path, errno));
  return {};
}

Result<> make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder.parent_path(), error);
  if (!error && ::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    error = {errno, std::generic_category()};
  }
  if (error) return fail(failed(folder, error.value()));
  return {};
}

// The whole key appears under its name at once, or not at all.
Result<> make_key(const fs::path& folder, const fs::path& path, Random& random) {
  const auto temporary = folder / fmt::format(".{}.{:016x}", kNodeKeyFile, random.next());
  auto text = tunnel::Key::generate_private(random).base64() + "\n";
  auto written = write_all(temporary, text);
  OPENSSL_cleanse(text.data(), text.size());
  // link() does not replace a key that another agent made meanwhile.
  if (written && ::link(temporary.c_str(), path.c_str()) != 0 && errno != EEXIST) {
    written = fail(failed(path, errno));
  }
  (void)::unlink(temporary.c_str());  // there is none if it could not be made
  if (!written) return written;
  const UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) return fail(failed(folder, errno));
  return {};
}

}  // namespace

Result<tunnel::Key> node_key(const std::string& state_dir, Random& random) {
  const fs::path folder(state_dir);
  const auto path = folder / kNodeKeyFile;
  auto key = read_key(path);
  if (key || key.error().code != Errc::kNotFound) return key;
  if (auto made = make_folder(folder); !made) return fail(made.error());
  if (auto made = make_key(folder, path, random); !made) return fail(made.error());
  return read_key(path);
}

}  // namespace cw::routeagent
