// The clusterset.local stub in a cluster's Corefile: a server block of its own between two marker
// lines. The rest of the file is nobody's business but its owner's and stays byte for byte. Pure.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/prefix.h"

namespace cw::cli {

// With our block (again) at the end, forwarding to `servers` (at least one). kExists: there is a
// block for the zone that is not ours.
[[nodiscard]] Result<std::string> with_stub(const std::string& corefile,
                                            const std::vector<IpAddress>& servers);
// Without our block; the same text if there is none.
[[nodiscard]] std::string without_stub(const std::string& corefile);

}  // namespace cw::cli
