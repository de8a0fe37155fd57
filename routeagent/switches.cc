#include "routeagent/switches.h"

#include <fmt/format.h>

#include <algorithm>

namespace cw::routeagent {

namespace {

std::string name_of(const std::optional<std::uint32_t>& ordinal) {
  return ordinal ? fmt::format("gateway {}", *ordinal) : "no gateway";
}

}  // namespace

std::vector<api::SwitchNote> switch_notes(const std::map<ChoiceKey, Choice>& before,
                                          const std::map<ChoiceKey, Choice>& after,
                                          const std::vector<GatewayInput>& gateways) {
  std::vector<api::SwitchNote> notes;
  for (const auto& [key, choice] : after) {
    const auto old = before.find(key);
    if (old == before.end() || old->second.ordinal == choice.ordinal) continue;
    const auto& from = old->second.ordinal;
    const bool broke = !choice.ordinal || (from && !carries(gateways, *from, key));
    notes.push_back(
        {fmt::format("traffic to {}, {}", key.cluster, key.family == Family::kV4 ? "IPv4" : "IPv6"),
         name_of(from), name_of(choice.ordinal), choice.reason, choice.since, broke, 1});
  }
  return notes;
}

}  // namespace cw::routeagent
