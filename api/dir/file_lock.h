// A lock between processes on one file: an open-file-description write lock (fcntl F_OFD_SETLK). It
// needs a writable descriptor, and the file is for its owner only (0600), so another local user
// cannot hold the lock. flock() locks do not affect it. May block. Any thread.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>

#include "base/error.h"

namespace cw::api {

// Holds the lock until the returned value is destroyed. kUnavailable: not free within `patience`.
// The text names the processes that hold it, as far as /proc shows them to this process.
[[nodiscard]] Result<std::shared_ptr<void>> lock_file(const std::filesystem::path& path,
                                                      std::chrono::milliseconds patience);

}  // namespace cw::api
