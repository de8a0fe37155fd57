// Notes for people about changed choices: which traffic moved from which gateway to which, and why.
// A first choice is no switch. Pure.
#pragma once

#include <map>
#include <vector>

#include "api/store/switch_events.h"
#include "homing/choose.h"

namespace cw::routeagent {

using homing::Choice;
using homing::ChoiceKey;
using homing::GatewayInput;

// A note is a warning if the old gateway is broken, or if no gateway carries now.
[[nodiscard]] std::vector<api::SwitchNote> switch_notes(const std::map<ChoiceKey, Choice>& before,
                                                        const std::map<ChoiceKey, Choice>& after,
                                                        const std::vector<GatewayInput>& gateways);

}  // namespace cw::routeagent
