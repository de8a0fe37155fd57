// Runs the nft program with text on its standard input: one atomic transaction. Why the program and
// not a library: docs/adr/0007-nftables.md.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"

namespace cw::netlink {

// Its standard output, at most 4 MiB. A failure carries nft's first error line; "No such file or
// directory" is kNotFound. At most 10 s.
[[nodiscard]] Result<std::string> nft_run(const std::vector<std::string>& arguments,
                                          const std::string& input);

}  // namespace cw::netlink
