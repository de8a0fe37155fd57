// The file `forwarding` in the agent's `stateDir`: the families whose forwarding the agent turned
// on. The nft table of forward_policy.h records them, too, but another program may flush it while
// the agent is stopped. The file counts for one boot and one network namespace, as the kernel's
// setting does.
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
  // Blocks until the disk has it. Empty: no file is written.
  std::function<Result<>(const std::set<Family>&)> write = {};
};

// Pure. `life` names the boot and the namespace. The text of another life gives an empty set.
[[nodiscard]] std::string forward_memory_text(std::string_view life,
                                              const std::set<Family>& families);
[[nodiscard]] Result<std::set<Family>> parse_forward_memory(std::string_view text,
                                                            std::string_view life);

// Reads the file; empty if there is none.
[[nodiscard]] ForwardMemory forward_memory(const std::string& state_dir);
// No error if there is no file.
[[nodiscard]] Result<> remove_forward_memory(const std::string& state_dir);

}  // namespace cw::routeagent
