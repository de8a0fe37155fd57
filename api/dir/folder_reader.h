// Reads the files of a directory store that are other than when they were last read, and keeps
// inotify watches on all its folders. It blocks on the disk, so it belongs to the store's worker
// thread; what it found goes to the loop as a value. An entry that cannot be read costs that entry
// only: it is named in the result, and its last good state stays.
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

// Which folder an inotify watch is on.
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
  // Makes the folders and a new inotify instance over them. Forgets what was read.
  [[nodiscard]] Result<Begun> begin();

  struct Scan {
    WatchedFolders folders;                  // watched since, beside the others
    std::vector<Object> changed;             // read now
    std::set<ObjectKey> present;             // has a file, readable or not
    std::set<std::string> unreadable;        // namespaces whose folder cannot be read
    std::map<std::string, std::string> bad;  // path of each entry that is skipped: why
    bool again = false;                      // a reason may go away without an event
  };
  // Error: the folder as a whole cannot be read.
  [[nodiscard]] Result<Scan> scan(Kind kind);

 private:
  [[nodiscard]] Result<> watch(const std::filesystem::path& folder, WatchedFolder what,
                               WatchedFolders& into);
  void watch_namespaces(Kind kind, WatchedFolders& into);
  void read_one(Kind kind, const ObjectKey& key, Scan& scan);

  Files& files_;
  std::shared_ptr<UniqueFd> inotify_;
  std::map<Kind, std::map<ObjectKey, FileStamp>> seen_;  // the files as last read
  std::map<Kind, std::map<ObjectKey, std::string>> bad_;
};

}  // namespace cw::api
