// Receives the inotify events of a directory store's folders (folder_reader.h sets the watches) and
// says which kinds to read again. An event only says "read that folder again", so lost or merged
// events do no harm. Loop thread only.
#pragma once

#include <functional>
#include <memory>
#include <set>

#include "api/dir/folder_reader.h"
#include "base/loop.h"

namespace cw::api {

class FolderWatch {
 public:
  struct Changes {
    std::set<Kind> kinds;     // the folders of these kinds changed
    bool everything = false;  // any kind may have changed
    bool gone = false;        // the store folder was deleted, moved or unmounted
  };
  using OnChange = std::function<void(const Changes&)>;

  FolderWatch(Loop& loop, OnChange on_change) : loop_(loop), on_change_(std::move(on_change)) {}
  FolderWatch(const FolderWatch&) = delete;
  FolderWatch& operator=(const FolderWatch&) = delete;

  // Receives the events of these watches, and no others.
  void start(FolderReader::Begun begun);
  void add(const WatchedFolders& folders) { folders_.insert(folders.begin(), folders.end()); }
  void stop() { readable_.reset(); }

 private:
  void receive();

  Loop& loop_;
  OnChange on_change_;
  std::shared_ptr<UniqueFd> inotify_;
  WatchedFolders folders_;
  Handle readable_;
};

}  // namespace cw::api
