// The probe datagram (docs/protocol/probe.md), one format for all kinds: a request carries a
// sequence number and the sender's clock; a reply echoes both and adds what the replier says of
// itself. A tag (keyed BLAKE2b) with the key of the two parties (tunnel/pair_key.h) authenticates
// every datagram. A reader accepts every minor version of its own major version. Pure.
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
#include "tunnel/pair_key.h"

namespace cw::tunnel {

inline constexpr unsigned kProbeMajor = 3;
inline constexpr unsigned kProbeMinor = 0;
inline constexpr std::size_t kMaxProbe = 1400;  // bytes
inline constexpr std::size_t kMinProbe = 80;    // header and tag

// Which party asks. Not a secret: it finds the key, the tag proves the rest.
using PartyId = std::array<std::uint8_t, 16>;
// `name`: the Node's, or "<cluster>/<ordinal>" of a gateway. Two nodes with one key (a copied disk)
// are two parties, and no node takes another's id by publishing its key under its own name.
[[nodiscard]] PartyId party_id(const Key& public_key, std::string_view name);

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
  bool old = false;      // requests inside tunnels: the node has not said it for a minute
  friend bool operator==(const ProbeClaim&, const ProbeClaim&) = default;
};

struct Probe {
  bool reply = false;
  PartyId asker{};            // of the request; echoed
  std::uint64_t session = 0;  // of the request, random; echoed
  std::uint64_t sequence = 0;
  std::uint64_t sent_ns = 0;  // the requester's monotonic clock, echoed
  // Replies: what the next request must repeat before its claims count, 0: nothing
  // (tunnel/probe/freshness.h). Requests: that of the last reply.
  std::uint64_t challenge = 0;
  std::uint32_t sender = 0;            // gateway ordinal, or 0xffffffff for a node
  bool draining = false;               // replies: I am about to go
  std::vector<ProbeCluster> clusters;  // replies: which remote clusters I reach
  // Requests: what the sender claims; replies: what the replier holds for the same keys.
  std::vector<ProbeClaim> claims;
  friend bool operator==(const Probe&, const Probe&) = default;
};

using ProbeKey = PairKey;

inline constexpr std::size_t kMaxClaims = 32;  // as many of them as fit kMaxProbe

// What a reader may look at before it knows the key. Nothing here is proven.
struct ProbeEnvelope {
  bool reply = false;
  PartyId asker{};
};

// The major version of a probe datagram that is of another one than ours.
[[nodiscard]] std::optional<unsigned> foreign_version(std::span<const std::byte> packet);
// kInvalid: no probe of our major version.
[[nodiscard]] Result<ProbeEnvelope> parse_envelope(std::span<const std::byte> packet);
// Total over any bytes: wrong size, version, entries -> kInvalid; wrong tag -> kDenied. Unknown
// flags and extensions, which a newer minor version may have, are skipped.
[[nodiscard]] Result<Probe> parse_probe(std::span<const std::byte> packet, const ProbeKey& key);

// At most kMaxProbe bytes; clusters and claims beyond it are left out.
[[nodiscard]] std::vector<std::byte> serialize(const Probe& probe, const ProbeKey& key);
// Writes the tag of all that stands before it into the last bytes of a datagram.
void seal_probe(std::span<std::byte> packet, const ProbeKey& key);

// Tells an asker of another major version which one we speak. Nothing authenticates it, and nothing
// follows from it but words.
[[nodiscard]] std::vector<std::byte> version_notice();

}  // namespace cw::tunnel
