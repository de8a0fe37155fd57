#include "api/dir/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>

#include "api/dir/file_lock.h"
#include "api/dir/yaml.h"
#include "base/state_file.h"

namespace cw::api {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr std::string_view kSuffix = ".yaml";
constexpr std::string_view kTemporary = ".tmp-";  // .tmp-<pid>-<n>
// On a slow disk another process may be in fsync for several seconds.
constexpr std::chrono::milliseconds kLockPatience{10'000};
constexpr std::chrono::milliseconds kLockRetry{100};

bool is_temporary(const fs::path& path) {
  return path.filename().string().rfind(kTemporary, 0) == 0;
}

// As mkdir -p, for the owner and its group only. An existing folder keeps its mode.
Result<> make_folders(const fs::path& folder) {
  if (::mkdir(folder.c_str(), 0750) == 0) return {};
  if (errno == ENOENT && folder.has_relative_path()) {
    if (auto ok = make_folders(folder.parent_path()); !ok) return ok;
    if (::mkdir(folder.c_str(), 0750) == 0) return {};
  }
  const int why = errno;
  std::error_code error;
  if (why == EEXIST && fs::is_directory(folder, error)) return {};
  return fail(errno_error(why == EEXIST ? ENOTDIR : why, folder.string()));
}

FileStamp stamp_of(const struct stat& status) {
  const auto ns = [](const timespec& time) { return time.tv_sec * 1'000'000'000 + time.tv_nsec; };
  timespec now{};
  (void)::clock_gettime(CLOCK_REALTIME, &now);
  return {status.st_dev,      status.st_ino,      status.st_size,
          ns(status.st_mtim), ns(status.st_ctim), ns(now)};
}

// Fills in what a hand-written file may omit, in the same way at every read.
Result<json> completed(json body, Kind kind, const ObjectKey& key, const fs::path& path,
                       const struct stat& status) {
  const auto wrong = [&](std::string_view what) {
    return fail(Errc::kInvalid, fmt::format("{}:1: {}", path.string(), what));
  };
  if (!body.is_object()) return wrong("want a mapping");
  const auto& kind_info = info(kind);
  if (body.contains("kind") && body["kind"] != kind_info.name) {
    return wrong(fmt::format("kind: want {}", kind_info.name));
  }
  body["kind"] = kind_info.name;
  body["apiVersion"] = kind_info.api_version;
  auto& meta = body["metadata"];
  if (meta.is_null()) meta = json::object();
  if (!meta.is_object()) return wrong("metadata: want a mapping");
  if (meta.contains("name") && meta["name"] != key.name) {
    return wrong("metadata.name: differs from the file's name");
  }
  meta["name"] = key.name;
  if (kind_info.namespaced) {
    if (meta.contains("namespace") && meta["namespace"] != key.ns) {
      return wrong("metadata.namespace: differs from the folder's name");
    }
    meta["namespace"] = key.ns;
  }
  if (!meta.contains("uid")) {
    meta["uid"] =
        "file-" +
        version_of(json{{"metadata", {{"kind", kind_info.name}, {"key", key.to_string()}}}});
  }
  if (!meta.contains("generation")) meta["generation"] = 1;
  if (!meta.contains("creationTimestamp")) {
    meta["creationTimestamp"] = format_time(WallTime(std::chrono::seconds(status.st_mtim.tv_sec)));
  }
  meta.erase("resourceVersion");
  return body;
}

}  // namespace

fs::path Files::folder(Kind kind) const {
  const auto& about = info(kind);
  if (!about.foreign) return root_ / about.plural;
  const auto group = about.api_version.substr(0, about.api_version.find('/'));
  return root_ / fmt::format("{}.{}", about.plural, group);
}

fs::path Files::path_of(Kind kind, const ObjectKey& key) const {
  const auto file = key.name + std::string(kSuffix);
  return key.ns.empty() ? folder(kind) / file : folder(kind) / key.ns / file;
}

Result<> Files::set_up() {
  for (const auto& kind : all_kinds()) {
    const auto path = folder(kind.kind);
    if (auto ok = make_folders(path); !ok)
      return fail(std::move(ok.error()).context("store folder"));
  }
  const auto guard = lock();  // with the lock held, no other process is writing
  if (!guard) return {};      // the leftovers stay until the next start
  std::error_code error;
  for (fs::recursive_directory_iterator at(root_, error), end; !error && at != end;
       at.increment(error)) {
    if (is_temporary(at->path())) {
      std::error_code ignored;  // another process may be removing it too
      fs::remove(at->path(), ignored);
    }
  }
  return {};
}

Result<std::shared_ptr<void>> Files::lock() {
  // Once the lock is known to be blocked, reads must not wait 10 s behind each queued write.
  const auto patience = blocked_.empty() ? kLockPatience : kLockRetry;
  auto held = lock_file(root_ / ".lock", patience);
  blocked_ = held ? std::string() : held.error().text;
  if (!held) return fail(std::move(held.error()));
  return std::move(*held);
}

Result<std::optional<json>> Files::read(Kind kind, const ObjectKey& key) {
  if (auto ok = check_key(kind, key); !ok) return fail(ok.error());
  const auto path = path_of(kind, key);
  last_read_ = {kind, key, std::nullopt};
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd && errno == ENOENT) return std::optional<json>();
  struct stat status {};
  if (!fd || ::fstat(fd.get(), &status) != 0) {
    last_read_.reset();
    return fail(errno_error(errno, path.string()));
  }
  last_read_->stamp = stamp_of(status);
  if (!S_ISREG(status.st_mode)) return fail(Errc::kInvalid, path.string() + ":1: not a file");
  // At least one byte more than parse_yaml() accepts, so that it reports "too large".
  const auto text = read_rest(fd, std::size_t{1} << 20U, path.string());
  if (!text) return fail(text.error());
  auto body = parse_yaml(*text, path.string());
  if (!body) return fail(body.error());
  auto whole = completed(std::move(*body), kind, key, path, status);
  if (!whole) return fail(whole.error());
  return std::optional<json>(std::move(*whole));
}

Result<> Files::write(Kind kind, const ObjectKey& key, const json& body) {
  const auto path = path_of(kind, key);
  if (auto ok = make_folders(path.parent_path()); !ok) return ok;
  std::error_code error;
  const auto temporary =
      path.parent_path() / fmt::format("{}{}-{}", kTemporary, ::getpid(), ++temporary_);
  const unsigned mode = kind == Kind::kSecret ? 0600 : 0644;
  auto ok = create_file(temporary.string(), to_yaml(body), mode);
  if (ok) ok = as_read(kind, key);  // the write took time, so compare again
  if (!ok) {
    fs::remove(temporary, error);
    return ok;
  }
  last_read_.reset();
  fs::rename(temporary, path, error);
  if (error) {
    std::error_code ignored;
    fs::remove(temporary, ignored);
    return fail(errno_error(error.value(), path.string()));
  }
  return sync_folder(path.parent_path().string());
}

Result<> Files::erase(Kind kind, const ObjectKey& key) {
  if (auto ok = as_read(kind, key); !ok) return ok;
  last_read_.reset();
  const auto path = path_of(kind, key);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT)
    return fail(errno_error(errno, path.string()));
  return sync_folder(path.parent_path().string());
}

std::optional<FileStamp> Files::stamp(Kind kind, const ObjectKey& key) const {
  struct stat status {};
  if (::stat(path_of(kind, key).c_str(), &status) != 0) return std::nullopt;
  return stamp_of(status);
}

Result<> Files::as_read(Kind kind, const ObjectKey& key) const {
  if (!last_read_ || last_read_->kind != kind || last_read_->key != key) return {};
  if (stamp(kind, key) == last_read_->stamp) return {};
  return fail(Errc::kConflict, path_of(kind, key).string() + ": changed since it was read");
}

Result<Files::Listing> Files::list(Kind kind) const {
  Listing listing;
  std::error_code error;
  const auto add_file = [&](const fs::path& path, const std::string& ns) {
    const auto name = path.filename().string();
    if (name.size() <= kSuffix.size() || name.front() == '.' || !name.ends_with(kSuffix)) return;
    ObjectKey key{ns, name.substr(0, name.size() - kSuffix.size())};
    if (check_key(kind, key)) listing.keys.push_back(std::move(key));
  };
  const auto add_namespace = [&](const fs::path& path) {
    const auto ns = path.filename().string();
    std::error_code inner;
    for (fs::directory_iterator at(path, inner), end; !inner && at != end; at.increment(inner)) {
      add_file(at->path(), ns);
    }
    if (inner) {
      listing.unreadable[ns] = errno_error(inner.value(), path.string()).text;
    }
  };
  for (fs::directory_iterator at(folder(kind), error), end; !error && at != end;
       at.increment(error)) {
    if (!info(kind).namespaced) {
      add_file(at->path(), "");
      continue;
    }
    std::error_code status;
    if (at->is_directory(status)) add_namespace(at->path());
  }
  if (error) return fail(errno_error(error.value(), "store folder " + folder(kind).string()));
  return listing;
}

}  // namespace cw::api
