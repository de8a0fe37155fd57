// Resources as files in one folder: ROOT/<plural>/<name>.yaml (for other programs' kinds
// ROOT/<plural>.<group>/<name>.yaml),
// ROOT/<plural>/<namespace>/<name>.yaml. Reads files, writes them atomically (temporary file,
// fsync, rename, fsync of the folder) and locks against other processes (file_lock.h on
// ROOT/.lock). People and their tools edit without that lock, so a write never replaces a file that
// changed since it was last read. All calls may block; one thread at a time. dir_store.h watches
// the folder.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <vector>

#include "api/store/local_store.h"

namespace cw::api {

// Tells whether a file was replaced or written since the stamp was taken.
struct FileStamp {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::int64_t size = 0;
  std::int64_t modified_ns = 0;
  std::int64_t changed_ns = 0;
  std::int64_t taken_ns = 0;  // when the stamp was taken; not compared
  // True: any later write changes the stamp. File times advance in steps of a few ms, so the last
  // change must be more than 100 ms older than the stamp.
  [[nodiscard]] bool settled() const { return taken_ns - changed_ns > 100'000'000; }
  friend bool operator==(const FileStamp& a, const FileStamp& b) {
    return a.device == b.device && a.inode == b.inode && a.size == b.size &&
           a.modified_ns == b.modified_ns && a.changed_ns == b.changed_ns;
  }
};

class Files final : public Backend {
 public:
  explicit Files(std::filesystem::path root) : root_(std::move(root)) {}

  // Creates the folders and removes temporary files that crashed writers left.
  [[nodiscard]] Result<> set_up();
  [[nodiscard]] Result<std::shared_ptr<void>> lock() override;
  [[nodiscard]] Result<std::optional<nlohmann::json>> read(Kind kind,
                                                           const ObjectKey& key) override;
  [[nodiscard]] Result<> write(Kind kind, const ObjectKey& key,
                               const nlohmann::json& body) override;
  [[nodiscard]] Result<> erase(Kind kind, const ObjectKey& key) override;

  // No value: there is no such file.
  [[nodiscard]] std::optional<FileStamp> stamp(Kind kind, const ObjectKey& key) const;
  // All objects of a kind that have a file, broken or not.
  struct Listing {
    std::vector<ObjectKey> keys;
    std::map<std::string, std::string> unreadable;  // namespaces with unreadable folders, and why
  };
  [[nodiscard]] Result<Listing> list(Kind kind) const;
  // Why the last lock() failed. Empty: it did not fail.
  [[nodiscard]] const std::string& blocked() const { return blocked_; }
  [[nodiscard]] std::filesystem::path folder(Kind kind) const;
  [[nodiscard]] const std::filesystem::path& root() const { return root_; }

 private:
  [[nodiscard]] std::filesystem::path path_of(Kind kind, const ObjectKey& key) const;
  // Ok: the last read() was of another object, or its file is unchanged since (or still missing).
  // kConflict: the file changed.
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
