// The directory store: resources as YAML files of a folder (files.h), watched by inotify. Several
// processes share one folder; people edit its files by hand. A broken file is reported once and the
// last good state kept. A folder that goes away makes the store unavailable until it is back.
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
