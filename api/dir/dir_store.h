// The directory store: resources as YAML files in a folder (files.h), watched with inotify. Several
// processes share the folder, and people edit its files by hand. An entry that is broken or
// unreadable is reported once, and its last good state stays; other entries are not affected. While
// the folder is missing, the store is unavailable. Files are read and written on a separate thread,
// so a disk that stalls delays answers but never blocks the loop.
#pragma once

#include <memory>
#include <string>

#include "api/store/store.h"
#include "base/random.h"

namespace cw::api {

// kUnavailable or kDenied: the folder cannot be created or read.
[[nodiscard]] Result<std::unique_ptr<Store>> open_dir_store(Loop& loop, Random& random,
                                                            const std::string& root);

}  // namespace cw::api
