// Claims as the extra part of probes (docs/protocol/probe.md). A request carries the sender's
// claims. A reply carries the claims that the replier holds for the same keys. Pure.
#pragma once

#include <cstddef>
#include <span>
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
  // Between nodes and gateways, of the cluster as a whole (election.h):
  bool word = false;     // requests: the node follows the claim; replies: the gateways' word
  bool objects = false;  // requests: the carrier fails the node, which wishes this one
  bool hold = false;     // requests: the node holds its packets; replies: it should
  friend bool operator==(const ProbeClaim&, const ProbeClaim&) = default;
};

inline constexpr std::size_t kMaxClaims = 32;  // of one probe

// No claims if one of them is malformed. Bytes behind them are skipped: extensions are there.
[[nodiscard]] std::vector<ProbeClaim> claims_of(const tunnel::Probe& probe);
// The bytes behind the claims. Empty if a claim is malformed.
[[nodiscard]] std::span<const std::byte> extensions_behind(const tunnel::Probe& probe);
// Appends the extensions behind the claims if they fit. Call it after put_claims().
void append_extensions(const std::vector<std::byte>& extensions, tunnel::Probe& probe);
// Replaces the extra part of `probe`, which must have its clusters. Claims that do not fit are left
// out.
void put_claims(const std::vector<ProbeClaim>& claims, tunnel::Probe& probe);

}  // namespace cw::homing
