// Runs the nft program with text on its standard input: one atomic transaction.
// docs/adr/0007-nftables.md says why it is the program and not a library.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"

namespace cw::netlink {

// Returns nft's standard output, at most 4 MiB. An error has nft's first error line; "No such file
// or directory" is kNotFound. Blocks for at most 10 s, then kills nft (kUnavailable).
[[nodiscard]] Result<std::string> nft_run(const std::vector<std::string>& arguments,
                                          const std::string& input);

}  // namespace cw::netlink
