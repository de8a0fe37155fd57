// How well a gateway serves one remote cluster and family, as one node sees it: one enumeration,
// its order, and one sentence for each. Choice, handover and Events use this and no rule of their
// own. Pure.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/prefix.h"

namespace cw::homing {

// Families are chosen apart: a gateway may forward one and not the other.
struct ChoiceKey {
  std::string cluster;  // remote
  Family family = Family::kV4;
  friend auto operator<=>(const ChoiceKey&, const ChoiceKey&) = default;
};

// A gateway of this cluster as this node sees it now: facts from probes, without a judgement.
struct GatewayInput {
  std::uint32_t ordinal = 0;
  bool here = false;                    // on this node: no probe of this node goes through it
  bool usable = false;                  // answers our probes and can forward
  std::string trouble = "is down";      // why it is not usable, after "gateway N "
  bool draining = false;                // by its own word
  std::set<std::string> reaches;        // remote clusters it says it reaches
  std::set<std::string> lossy_to = {};  // of these, those on the way to which much is lost
  std::string node;                     // that it is on
  std::set<ChoiceKey> forwards = {};    // answers came through it (tunnel/probe/path_detector.h)
  std::set<ChoiceKey> not_forwarding = {};  // none came; means something if they do elsewhere
};

// Better first. The first three carry traffic, so a handover from them loses nothing.
enum class Health : std::uint8_t {
  kGood,
  kLossy,
  kDraining,
  kNotForwarding,  // brings nothing back while another gateway does
  kDown,           // does not answer, or says that it does not reach the cluster
};

// `gateways`: all of the cluster; what one of them brings back tells about the others.
[[nodiscard]] Health health_of(const std::vector<GatewayInput>& gateways,
                               const GatewayInput& gateway, const ChoiceKey& choice);
[[nodiscard]] inline bool carries(Health health) { return health <= Health::kDraining; }
// The same by its ordinal; false if there is no such gateway.
[[nodiscard]] bool carries(const std::vector<GatewayInput>& gateways, std::uint32_t ordinal,
                           const ChoiceKey& choice);
// What speaks against the gateway: a sentence; empty for a good one.
[[nodiscard]] std::string objection(const GatewayInput& gateway, Health health,
                                    const std::string& cluster);

}  // namespace cw::homing
