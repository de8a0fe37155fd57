// The stub for clusterset.local in a cluster's Corefile: a server block between two marker lines.
// The rest of the file is left unchanged, byte for byte. Pure.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/prefix.h"

namespace cw::cli {

// `corefile` with our block at its end, replaced if it was there. It forwards to `servers` (at
// least one). kExists: the file has another block for the zone.
[[nodiscard]] Result<std::string> with_stub(const std::string& corefile,
                                            const std::vector<IpAddress>& servers);
// `corefile` without our block; unchanged if there is none.
[[nodiscard]] std::string without_stub(const std::string& corefile);

}  // namespace cw::cli
