// A small file that a daemon keeps over its restarts: read whole, written whole (temporary file,
// fsync, rename, fsync of the folder). A crash leaves the file before or the file after. Both may
// block.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace cw {

// kNotFound: there is none. kTooLarge: it has more than `most` bytes. kInvalid: no regular file.
[[nodiscard]] Result<std::string> read_state_file(const std::string& path, std::size_t most);
// Mode 0600. Makes the folder (0700) where it is missing.
[[nodiscard]] Result<> write_state_file(const std::string& path, std::string_view text);
// No error if there is none.
[[nodiscard]] Result<> remove_state_file(const std::string& path);

}  // namespace cw
