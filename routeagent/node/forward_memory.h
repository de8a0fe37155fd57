// Which families' forwarding the agent turned on: `forwarding` in its `stateDir`. The nft table of
// forward_policy.h says it, too, but any program may flush that while the agent is away. The file
// counts for one boot and one network namespace, because the setting goes with them.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/prefix.h"

namespace cw::routeagent {

struct ForwardMemory {
  Result<std::set<Family>> before;  // what the file said at start
  // Blocks until the disk has it. Empty: there is no file.
  std::function<Result<>(const std::set<Family>&)> write = {};
};

// Pure. `life`: the boot and the namespace. The text of another life says nothing: an empty set.
[[nodiscard]] std::string forward_memory_text(std::string_view life,
                                              const std::set<Family>& families);
[[nodiscard]] Result<std::set<Family>> parse_forward_memory(std::string_view text,
                                                            std::string_view life);

// Reads the file; empty if there is none.
[[nodiscard]] ForwardMemory forward_memory(const std::string& state_dir);
// No error if there is none.
[[nodiscard]] Result<> remove_forward_memory(const std::string& state_dir);

}  // namespace cw::routeagent
