#include "routeagent/node_key.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>

#include "base/state_file.h"
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

// The whole key appears under its name at once, or not at all.
Result<> make_key(const fs::path& path, Random& random) {
  const auto temporary = fmt::format("{}.{:016x}", path.string(), random.next());
  auto text = tunnel::Key::generate_private(random).base64() + "\n";
  auto made = write_state_file(temporary, text);
  OPENSSL_cleanse(text.data(), text.size());
  // link() does not replace a key that another agent made meanwhile.
  if (made && ::link(temporary.c_str(), path.c_str()) != 0 && errno != EEXIST) {
    made = fail(errno_error(errno, path.string()));
  }
  const auto synced = remove_state_file(temporary);
  if (made && !synced) made = synced;
  if (!made) return fail(made.error().context("node key"));
  return {};
}

}  // namespace

Result<tunnel::Key> node_key(const std::string& state_dir, Random& random) {
  const auto path = fs::path(state_dir) / kNodeKeyFile;
  auto key = read_key(path);
  if (key || key.error().code != Errc::kNotFound) return key;
  if (auto made = make_key(path, random); !made) return fail(made.error());
  return read_key(path);
}

}  // namespace cw::routeagent
