// Resources as files of one folder: ROOT/<plural>/<name>.yaml,
// ROOT/<plural>/<namespace>/<name>.yaml. Reads, writes atomically (temporary file, fsync, rename,
// fsync of the folder) and locks against other processes (file_lock.h on ROOT/.lock). People and
// their tools edit without that lock: no write replaces a file that changed since it was last read.
// All of it may block; one thread at a time. No watching: dir_store.h.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <vector>

#include "api/store/local_store.h"

namespace cw::api {

// Tells whether a file is another one, or was written to, since.
struct FileStamp {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::int64_t size = 0;
  std::int64_t modified_ns = 0;
  std::int64_t changed_ns = 0;
  std::int64_t taken_ns = 0;  // not compared
  // Whoever writes from now on makes another stamp: times of files move in steps of a few ms.
  [[nodiscard]] bool settled() const { return taken_ns - changed_ns > 100'000'000; }
  friend bool operator==(const FileStamp& a, const FileStamp& b) {
    return a.device == b.device && a.inode == b.inode && a.size == b.size &&
           a.modified_ns == b.modified_ns && a.changed_ns == b.changed_ns;
  }
};

class Files final : public Backend {
 public:
  explicit Files(std::filesystem::path root) : root_(std::move(root)) {}

  // Makes the folders and removes temporary files of writers that died.
  [[nodiscard]] Result<> set_up();
  [[nodiscard]] Result<std::shared_ptr<void>> lock() override;
  [[nodiscard]] Result<std::optional<nlohmann::json>> read(Kind kind,
                                                           const ObjectKey& key) override;
  [[nodiscard]] Result<> write(Kind kind, const ObjectKey& key,
                               const nlohmann::json& body) override;
  [[nodiscard]] Result<> erase(Kind kind, const ObjectKey& key) override;

  // None: there is no such file now.
  [[nodiscard]] std::optional<FileStamp> stamp(Kind kind, const ObjectKey& key) const;
  // All objects of a kind that have a file, broken or not.
  struct Listing {
    std::vector<ObjectKey> keys;
    std::map<std::string, std::string> unreadable;  // folders of namespaces, and why
  };
  [[nodiscard]] Result<Listing> list(Kind kind) const;
  // Why the last lock() failed; empty: it did not.
  [[nodiscard]] const std::string& blocked() const { return blocked_; }
  [[nodiscard]] std::filesystem::path folder(Kind kind) const;
  [[nodiscard]] const std::filesystem::path& root() const { return root_; }

 private:
  [[nodiscard]] std::filesystem::path path_of(Kind kind, const ObjectKey& key) const;
  // Whether the last read() was of another object, or its file is still the same (or missing).
  [[nodiscard]] Result<> as_read(Kind kind, const ObjectKey& key) const;
  std::filesystem::path root_;
  std::uint64_t temporary_ = 0;
  struct Seen {
    Kind kind{};
    ObjectKey key;
    std::optional<FileStamp> stamp;
  };
  std::optional<Seen> last_read_;
  std::string blocked_;
};

}  // namespace cw::api
