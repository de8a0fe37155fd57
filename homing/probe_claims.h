// Claims as the extra part of probes (docs/protocol/probe.md). A request carries the sender's
// claims. A reply carries the claims that the replier holds for the same keys. Pure.
#pragma once

#include <vector>

#include "homing/claims.h"
#include "tunnel/probe/packet.h"

namespace cw::homing {

// Inside a tunnel the cluster is empty: it is the receiver's own.
struct ProbeClaim {
  ClaimKey key;
  Claim claim;
  bool settled = false;  // replies to nodes: every working remote gateway holds it
  bool old = false;      // requests inside tunnels: the node has not repeated it for a minute
  friend bool operator==(const ProbeClaim&, const ProbeClaim&) = default;
};

inline constexpr std::size_t kMaxClaims = 32;  // of one probe

// No claims if one of them is malformed. Bytes behind them are skipped, because a newer minor
// version may have extensions there.
[[nodiscard]] std::vector<ProbeClaim> claims_of(const tunnel::Probe& probe);
// Replaces the extra part of `probe`, which must have its clusters. Claims that do not fit are left
// out.
void put_claims(const std::vector<ProbeClaim>& claims, tunnel::Probe& probe);

}  // namespace cw::homing
