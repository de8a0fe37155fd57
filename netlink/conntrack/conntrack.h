// Connection tracking over nfnetlink (libmnl). It forgets flows that got an address translation
// before our exemption was in place. A tracked flow keeps its translation for life, so a long-lived
// or busy UDP flow would leave with the wrong source forever.
#pragma once

#include <span>

#include "base/error.h"
#include "base/prefix.h"

namespace cw::netlink {

// Deletes the flows of this network namespace to or from an address in `remotes` whose source is
// translated. Returns their number; 0 on a kernel without connection tracking.
[[nodiscard]] Result<unsigned> forget_translated_flows(std::span<const Prefix> remotes);

}  // namespace cw::netlink
