// What a remote cluster may never claim as a prefix or name as an endpoint, whatever its
// administrator wrote. That is special-purpose addresses, prefixes too wide for one cluster, and
// addresses that this cluster or this host uses. causewayctl, the gateway's admission and every
// route agent use it. The CRD repeats the fixed part. Pure. docs/clusterpeer.md has the table.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/prefix_set.h"

namespace cw {

// The widest prefixes that a cluster may claim.
inline constexpr unsigned kWidestV4 = 8;
inline constexpr unsigned kWidestV6 = 16;

// Prefixes of this cluster with a common name, such as "a node of this cluster".
struct OwnPrefixes {
  std::string what;
  PrefixSet prefixes;
  friend bool operator==(const OwnPrefixes&, const OwnPrefixes&) = default;
};

// Why a remote cluster may not claim `prefix`. The text completes a sentence that begins with the
// prefix: "overlaps 127.0.0.0/8 (loopback)", "is wider than /8". No value: it may.
[[nodiscard]] std::optional<std::string> never_a_peers(const Prefix& prefix,
                                                       std::span<const OwnPrefixes> own = {});

// The same for a remote gateway's endpoint: "is in 127.0.0.0/8 (loopback)". An endpoint may lie in
// a network of this cluster (two clusters on one LAN). It must not be the address of one of its
// nodes; `own` has those.
[[nodiscard]] std::optional<std::string> never_an_endpoint(const IpAddress& address,
                                                           std::span<const OwnPrefixes> own = {});

}  // namespace cw
