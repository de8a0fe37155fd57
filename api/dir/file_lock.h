// A lock between processes on one file: an open-file-description write lock (fcntl F_OFD_SETLK). It
// needs a descriptor that may write, and the file is for its owner only (0600), so another local
// user cannot hold it. flock() locks of others do not matter. May block; any thread.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>

#include "base/error.h"

namespace cw::api {

// Holds the lock until the value goes. kUnavailable after `patience`: the text names the processes
// that hold it, as far as this process may see them.
[[nodiscard]] Result<std::shared_ptr<void>> lock_file(const std::filesystem::path& path,
                                                      std::chrono::milliseconds patience);

}  // namespace cw::api
