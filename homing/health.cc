#include "homing/health.h"

#include <fmt/format.h>

#include <algorithm>

namespace cw::homing {

namespace {

// Where no gateway brings anything back, none is worse than the others.
bool another_forwards(const std::vector<GatewayInput>& gateways, const GatewayInput& gateway,
                      const ChoiceKey& choice) {
  return std::any_of(gateways.begin(), gateways.end(), [&](const auto& other) {
    return other.ordinal != gateway.ordinal && other.usable &&
           other.reaches.count(choice.cluster) != 0 && other.forwards.count(choice) != 0;
  });
}

}  // namespace

Health health_of(const std::vector<GatewayInput>& gateways, const GatewayInput& gateway,
                 const ChoiceKey& choice) {
  if (!gateway.usable || gateway.reaches.count(choice.cluster) == 0) return Health::kDown;
  if (gateway.not_forwarding.count(choice) != 0 && another_forwards(gateways, gateway, choice)) {
    return Health::kNotForwarding;
  }
  if (gateway.draining) return Health::kDraining;
  return gateway.lossy_to.count(choice.cluster) != 0 ? Health::kLossy : Health::kGood;
}

bool carries(const std::vector<GatewayInput>& gateways, std::uint32_t ordinal,
             const ChoiceKey& choice) {
  return std::any_of(gateways.begin(), gateways.end(), [&](const auto& gateway) {
    return gateway.ordinal == ordinal && carries(health_of(gateways, gateway, choice));
  });
}

std::string objection(const GatewayInput& gateway, Health health, const std::string& cluster) {
  switch (health) {
    case Health::kGood:
      return {};
    case Health::kLossy:
      return fmt::format("gateway {} loses much on the way to {}", gateway.ordinal, cluster);
    case Health::kDraining:
      return fmt::format("gateway {} is draining", gateway.ordinal);
    case Health::kNotForwarding:
      return fmt::format("gateway {} does not forward to {}", gateway.ordinal, cluster);
    case Health::kDown:
      break;
  }
  return gateway.usable ? fmt::format("gateway {} does not reach {}", gateway.ordinal, cluster)
                        : fmt::format("gateway {} {}", gateway.ordinal, gateway.trouble);
}

}  // namespace cw::homing
