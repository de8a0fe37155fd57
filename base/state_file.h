// A small file that a daemon keeps across restarts. It is read and written as a whole (temporary
// file, fsync, rename, fsync of the folder). After a crash it has the old or the new content. All
// calls may block.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "base/unique_fd.h"

namespace cw {

// kNotFound: there is no file. kTooLarge: it has more than `most` bytes. kInvalid: it is not a
// regular file.
[[nodiscard]] Result<std::string> read_state_file(const std::string& path, std::size_t most);
// Mode 0600. Creates a missing folder with mode 0700.
[[nodiscard]] Result<> write_state_file(const std::string& path, std::string_view text);
// A missing file is no error.
[[nodiscard]] Result<> remove_state_file(const std::string& path);

// The steps, for files that are written in another way. Creates a file with O_EXCL, writes `text`
// and syncs it. After a failure the file may be there with a part of the text.
[[nodiscard]] Result<> create_file(const std::string& path, std::string_view text, unsigned mode);
// Makes names that were created or removed in the folder survive a crash.
[[nodiscard]] Result<> sync_folder(const std::string& folder);
// The text that is left in `fd`, but at most a little more than `most` bytes. `path`: for errors.
[[nodiscard]] Result<std::string> read_rest(const UniqueFd& fd, std::size_t most,
                                            const std::string& path);

}  // namespace cw
