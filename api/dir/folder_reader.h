// Reads those files of a directory store that changed since they were last read, and keeps inotify
// watches on all its folders. It blocks on the disk, so it runs on the store's worker thread. Its
// results go to the loop as values. An unreadable entry affects only itself: the result names it,
// and its last good state stays.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "api/dir/files.h"
#include "base/unique_fd.h"

namespace cw::api {

// The folder that an inotify watch is on.
struct WatchedFolder {
  Kind kind{};
  bool root = false;
};
using WatchedFolders = std::map<int, WatchedFolder>;  // by watch descriptor

class FolderReader {
 public:
  explicit FolderReader(Files& files) : files_(files) {}

  struct Begun {
    std::shared_ptr<UniqueFd> inotify;
    WatchedFolders folders;
  };
  // Creates the folders and a new inotify instance that watches them. Forgets all stamps.
  [[nodiscard]] Result<Begun> begin();

  struct Scan {
    WatchedFolders folders;                  // watches added by this scan
    std::vector<Object> changed;             // read by this scan
    std::set<ObjectKey> present;             // objects that have a file, readable or not
    std::set<std::string> unreadable;        // namespaces whose folder cannot be read
    std::map<std::string, std::string> bad;  // skipped entries: path -> reason
    bool again = false;                      // an entry may become readable without an event
  };
  // An error means that the folder as a whole cannot be read.
  [[nodiscard]] Result<Scan> scan(Kind kind);

 private:
  [[nodiscard]] Result<> watch(const std::filesystem::path& folder, WatchedFolder what,
                               WatchedFolders& into);
  void watch_namespaces(Kind kind, WatchedFolders& into);
  void read_one(Kind kind, const ObjectKey& key, Scan& scan);

  Files& files_;
  std::shared_ptr<UniqueFd> inotify_;
  std::map<Kind, std::map<ObjectKey, FileStamp>> seen_;  // the stamps of the files as last read
  std::map<Kind, std::map<ObjectKey, std::string>> bad_;
};

}  // namespace cw::api
