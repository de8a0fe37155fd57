// The ledger's file on this host: `closed.json` in the agent's `stateDir`. Writes are durable (a
// temporary file, fsync, rename). They may block, so they must not run on the loop thread, which
// sends probes.
#pragma once

#include <string>

#include "base/error.h"
#include "routeagent/closed/ledger.h"

namespace cw::routeagent {

[[nodiscard]] std::string ledger_path(const std::string& state_dir);
// Empty if there is no file yet.
[[nodiscard]] Result<Ledger> read_ledger(const std::string& state_dir);
// Blocks until the text is on the disk. Makes the folder (0700) if it is missing.
[[nodiscard]] Result<> write_ledger(const std::string& state_dir, const std::string& text);
// Success if there is no file.
[[nodiscard]] Result<> remove_ledger(const std::string& state_dir);

}  // namespace cw::routeagent
