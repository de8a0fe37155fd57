// The key that two parties share, because each has the other's X25519 public key. A gateway's party
// key is its WireGuard key. A node has a key of its own (routeagent/node_key.h). Both sides compute
// the same key, whichever of them is first. Pure.
//
//   shared = X25519(own private, other public)                            RFC 7748
//   key    = HKDF-SHA256(ikm shared, no salt, info label || 0 || lower public || higher public)
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "tunnel/key.h"

namespace cw::tunnel {

using PairKey = std::array<std::uint8_t, 32>;

// One label per use, so that a key of one use is worthless in another.
inline constexpr std::string_view kProbeLabel = "causeway probe v4";
inline constexpr std::string_view kFeedLabel = "causeway feed v1";

// kInvalid: `other_public` is a point of low order, so the secret would be zero and known to all;
// or it is our own public key. Takes about 50 us, so keep the result.
[[nodiscard]] Result<PairKey> pair_key(const Key& own_private, const Key& other_public,
                                       std::string_view label);

}  // namespace cw::tunnel
