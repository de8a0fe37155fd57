// The probe datagram (docs/protocol/probe.md), one format for all three kinds: a request carries a
// sequence number and the sender's clock; a reply echoes both and adds what the replier says of
// itself. A tag (HMAC-SHA256, 16 bytes) with the cluster-internal key authenticates probes between
// a node and its gateways; probes inside a tunnel are authenticated by it and carry a zero tag.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/loop.h"
#include "tunnel/claims/claims.h"

namespace cw::tunnel {

inline constexpr std::size_t kMaxProbe = 1400;  // bytes; requests may be padded up to the path MTU

// A remote cluster as the replying gateway sees it.
struct ProbeCluster {
  std::string id;
  bool reachable = false;
  bool degraded = false;  // over links that lose much only
  friend bool operator==(const ProbeCluster&, const ProbeCluster&) = default;
};

// A claim on the way (tunnel/claims/claims.h). Inside a tunnel the cluster is empty: it is the
// receiver's own.
struct ProbeClaim {
  ClaimKey key;
  Claim claim;
  bool settled = false;  // replies to nodes: every remote gateway that works holds it
  friend bool operator==(const ProbeClaim&, const ProbeClaim&) = default;
};

struct Probe {
  bool reply = false;
  std::uint64_t session = 0;  // random per sender process: a restart is not a replay
  std::uint64_t sequence = 0;
  std::uint64_t sent_ns = 0;           // the requester's monotonic clock, echoed
  std::uint32_t sender = 0;            // gateway ordinal, or 0xffffffff for a node
  bool draining = false;               // replies: I am about to go
  std::vector<ProbeCluster> clusters;  // replies: which remote clusters I reach
  // Requests: what the sender claims; replies: what the replier holds for the same keys.
  std::vector<ProbeClaim> claims;
  friend bool operator==(const Probe&, const Probe&) = default;
};

using ProbeKey = std::array<std::uint8_t, 32>;

inline constexpr std::size_t kMaxClaims = 32;  // as many of them as fit kMaxProbe

// At most kMaxProbe bytes; clusters and claims beyond it are left out. Without a key the tag is
// zero.
[[nodiscard]] std::vector<std::byte> serialize(const Probe& probe,
                                               const std::optional<ProbeKey>& key);
// Total over any bytes: wrong size, magic, version, tag -> kInvalid or kDenied.
[[nodiscard]] Result<Probe> parse_probe(std::span<const std::byte> packet,
                                        const std::optional<ProbeKey>& key);

}  // namespace cw::tunnel
