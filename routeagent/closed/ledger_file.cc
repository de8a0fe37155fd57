#include "routeagent/closed/ledger_file.h"

#include "base/state_file.h"

namespace cw::routeagent {

std::string ledger_path(const std::string& state_dir) { return state_dir + "/closed.json"; }

Result<Ledger> read_ledger(const std::string& state_dir) {
  const auto path = ledger_path(state_dir);
  const auto text = read_state_file(path, kMostLedgerBytes);
  if (!text && text.error().code == Errc::kNotFound) return Ledger{};
  if (!text) return fail(text.error());
  auto ledger = parse_ledger(*text);
  if (!ledger) return fail(std::move(ledger.error()).context(path));
  return ledger;
}

Result<> write_ledger(const std::string& state_dir, const std::string& text) {
  return write_state_file(ledger_path(state_dir), text);
}

Result<> remove_ledger(const std::string& state_dir) {
  return remove_state_file(ledger_path(state_dir));
}

}  // namespace cw::routeagent
