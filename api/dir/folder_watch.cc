#include "api/dir/folder_watch.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <utility>

namespace cw::api {

namespace {

void record(const inotify_event& event, const WatchedFolders& folders,
            FolderWatch::Changes& changes) {
  const auto found = folders.find(event.wd);
  if ((event.mask & IN_Q_OVERFLOW) != 0 || found == folders.end()) {
    changes.everything = true;  // events were lost, or the worker has watched this folder and the
                                // loop does not know it yet
    return;
  }
  const auto& folder = found->second;
  if (!folder.root) {
    changes.kinds.insert(folder.kind);  // a namespace's folder may be deleted and created
    return;
  }
  if ((event.mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT)) != 0) changes.gone = true;
  if ((event.mask & IN_ISDIR) != 0) changes.everything = true;  // a kind's folder came or went
}

}  // namespace

void FolderWatch::start(FolderReader::Begun begun) {
  inotify_ = std::move(begun.inotify);
  folders_ = std::move(begun.folders);
  readable_ = loop_.watch(inotify_->get(), FdEvent::kRead, [this] { receive(); });
}

void FolderWatch::receive() {
  alignas(inotify_event) char buffer[16384];
  Changes changes;
  for (int rounds = 0; rounds < 64; ++rounds) {
    const auto n = ::read(inotify_->get(), buffer, sizeof buffer);
    if (n <= 0) break;
    for (ssize_t at = 0; at < n;) {
      const auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
      at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
      record(*event, folders_, changes);
    }
  }
  on_change_(changes);
}

}  // namespace cw::api
