// The directory store: resources as YAML files of a folder (files.h), watched by inotify. Several
// processes share one folder, and people edit its files by hand. A broken or unreadable entry is
// reported once and its last good state kept; nothing else suffers. A folder that goes away makes
// the store unavailable until it is back. Files are read and written by a thread of its own: a disk
// that stalls delays answers, never the loop.
#pragma once

#include <memory>
#include <string>

#include "api/store/store.h"
#include "base/random.h"

namespace cw::api {

// kUnavailable or kDenied if the folder cannot be made or read.
[[nodiscard]] Result<std::unique_ptr<Store>> open_dir_store(Loop& loop, Random& random,
                                                            const std::string& root);

}  // namespace cw::api
