// What a change of choices tells people: which traffic went from which gateway to which, and why.
// First choices are no switches. Pure.
#pragma once

#include <map>
#include <vector>

#include "api/store/switch_events.h"
#include "homing/choose.h"

namespace cw::routeagent {

using homing::Choice;
using homing::ChoiceKey;
using homing::GatewayInput;

// A warning where the gateway that was left is broken, or nobody carries now.
[[nodiscard]] std::vector<api::SwitchNote> switch_notes(const std::map<ChoiceKey, Choice>& before,
                                                        const std::map<ChoiceKey, Choice>& after,
                                                        const std::vector<GatewayInput>& gateways);

}  // namespace cw::routeagent
