// Brings the kernel to a PathState: dump, diff, apply. Adds before it removes; a failed step stops
// nothing else, but there is no path without the host's guard (the nft table). A pass changes at
// most kRoutesAtOnce routes, each of which is a call of the kernel; then it says that there is
// more. Laws (tests/gateway/path): a pass after the last one does nothing; passes reach the state
// from any other; a crash after any step is repaired by the next pass; remove_path() leaves
// nothing.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "gateway/path/state.h"

namespace cw::gateway {

inline constexpr std::size_t kRoutesAtOnce = 1024;

struct PassReport {
  std::size_t steps = 0;            // changes made or tried
  std::vector<std::string> errors;  // of the steps that failed, in order
  bool more = false;                // routes are left for the next pass
  friend bool operator==(const PassReport&, const PassReport&) = default;
};

class PathReconciler {
 public:
  explicit PathReconciler(netlink::Kernel& kernel) : kernel_(kernel) {}
  PassReport apply(const PathState& desired);

 private:
  netlink::Kernel& kernel_;
  bool guarded_ = false;  // the table was applied once
  // nft prints a table otherwise than it was written: the listing that our text led to, to see
  // whether another program changed it since.
  std::string nft_text_;
  std::string nft_listing_;
};

// Removes what apply() ever makes, but for sysctls (others need them) and the device with its
// address and routes to control addresses, which go with the Driver's remove().
PassReport remove_path(netlink::Kernel& kernel, const std::string& link);

}  // namespace cw::gateway
