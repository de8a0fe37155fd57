// What probes between gateways say about the endpoints of gateways (docs/protocol/probe.md,
// "Sightings"). A request names the gateways that its sender seeks. A reply says where the replier
// sees these and the asker. It is the extension part of the probe. Pure.
#pragma once

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "gateway/peers/sightings.h"

namespace cw::gateway {

inline constexpr std::size_t kMaxSought = 8;             // in one request
inline constexpr std::size_t kMaxSeen = kMaxSought + 1;  // in one reply: also the asker

struct SightingWords {
  std::vector<SightingId> sought;
  std::vector<std::pair<SightingId, Endpoint>> seen;
  friend bool operator==(const SightingWords&, const SightingWords&) = default;
};

// Accepts any bytes. Entries beyond the limits are left out, unknown extensions are skipped, and
// reading ends at the first malformed one.
[[nodiscard]] SightingWords sighting_words(std::span<const std::byte> extensions);
// Empty if nothing is said. Entries beyond the limits are left out.
[[nodiscard]] std::vector<std::byte> extensions_of(const SightingWords& words);

}  // namespace cw::gateway
