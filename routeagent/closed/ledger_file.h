// The ledger's file on this host: `closed.json` in the agent's `stateDir`. Written durably (a
// temporary file, fsync, rename). Writing may block: a disk that stalls must stop no probe.
#pragma once

#include <string>

#include "base/error.h"
#include "routeagent/closed/ledger.h"

namespace cw::routeagent {

[[nodiscard]] std::string ledger_path(const std::string& state_dir);
// Empty if there is no file yet.
[[nodiscard]] Result<Ledger> read_ledger(const std::string& state_dir);
// Blocks until the disk has it. Makes the folder (0700) if it is missing.
[[nodiscard]] Result<> write_ledger(const std::string& state_dir, const std::string& text);
// Success if there is none.
[[nodiscard]] Result<> remove_ledger(const std::string& state_dir);

}  // namespace cw::routeagent
