// Any bytes as the route agent's file of closed prefixes.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "routeagent/closed/guard.h"
#include "routeagent/closed/ledger.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto ledger = cw::routeagent::parse_ledger({reinterpret_cast<const char*>(data), size});
  if (!ledger) return 0;
  // A file that was read is written so that it reads the same.
  const auto text = cw::routeagent::ledger_text(*ledger);
  const auto again = cw::routeagent::parse_ledger(text);
  CW_CHECK(again && *again == *ledger);
  const auto closed = cw::routeagent::closed_prefixes(*ledger);
  // One rule per prefix, and the rules that let the tunnels' own packets pass.
  const auto others = closed.empty() ? 0 : cw::netlink::bypass_rules({}).size();
  CW_CHECK(cw::routeagent::guard_state(closed).rules.size() == closed.size() + others);
  return 0;
}
