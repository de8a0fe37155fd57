// Connection tracking over nfnetlink (libmnl): forgetting flows that were given a NAT before our
// exemption from it was in place. A tracked flow keeps its NAT for life, and a long-lived or busy
// UDP flow would leave with the wrong source for ever.
#pragma once

#include <span>

#include "base/error.h"
#include "base/prefix.h"

namespace cw::netlink {

// Deletes the flows of this network namespace to or from an address in `remotes` whose source is
// translated; the number of them. A kernel without connection tracking has none.
[[nodiscard]] Result<unsigned> forget_translated_flows(std::span<const Prefix> remotes);

}  // namespace cw::netlink
