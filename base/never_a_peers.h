// What no remote cluster may ever claim or name as an endpoint, whatever its administrator wrote:
// addresses with a meaning of their own, prefixes that are too wide to belong to one cluster, and
// what this cluster or this host uses itself. The command line, the gateways' admission and every
// route agent ask here; the CRD repeats the fixed part. Pure. docs/protocol/feed.md has the table.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/prefix_set.h"

namespace cw {

// The shortest prefixes that a cluster may claim.
inline constexpr unsigned kWidestV4 = 8;
inline constexpr unsigned kWidestV6 = 16;

// Prefixes of our own that belong together, and what they are: "a node of this cluster".
struct OwnPrefixes {
  std::string what;
  PrefixSet prefixes;
  friend bool operator==(const OwnPrefixes&, const OwnPrefixes&) = default;
};

// Why a remote cluster may not claim `prefix`, as the end of a sentence that begins with the
// prefix: "overlaps 127.0.0.0/8 (loopback)", "is wider than /8". Nothing: it may.
[[nodiscard]] std::optional<std::string> never_a_peers(const Prefix& prefix,
                                                       std::span<const OwnPrefixes> own = {});

// The same for the address of a remote gateway's endpoint: "is a loopback address". An endpoint
// may lie in a network of ours (two clusters on one LAN), but it is no address of a node of ours;
// `own` names those.
[[nodiscard]] std::optional<std::string> never_an_endpoint(const IpAddress& address,
                                                           std::span<const OwnPrefixes> own = {});

}  // namespace cw
