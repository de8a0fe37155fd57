// The probe datagram (docs/protocol/probe.md), one format for all kinds of probe. A request carries
// a sequence number and the sender's clock. A reply echoes both and adds the replier's own state.
// Every datagram has a tag (keyed BLAKE2b) with the key of the two parties (tunnel/pair_key.h). A
// reader accepts every minor version of its own major version. Pure.
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
#include "tunnel/pair_key.h"
#include "tunnel/probe/party.h"

namespace cw::tunnel {

inline constexpr unsigned kProbeMajor = 4;
inline constexpr unsigned kProbeMinor = 0;
inline constexpr std::size_t kMaxProbe = 1400;  // bytes
inline constexpr std::size_t kMinProbe = 80;    // header and tag

// Identifies the asking party. It is no secret: it only finds the key, and the tag is the proof.
using PartyId = std::array<std::uint8_t, 16>;
// Two nodes with one key (a copied disk) are two parties. A node that publishes another node's key
// does not get its id.
[[nodiscard]] PartyId party_id(const Key& public_key, const ProbeParty& party);

// A remote cluster as the replying gateway sees it.
struct ProbeCluster {
  std::string id;
  bool reachable = false;
  bool degraded = false;  // only over links that lose much
  friend bool operator==(const ProbeCluster&, const ProbeCluster&) = default;
};

// What a probe carries for its two parties besides its own purpose (homing/probe_claims.h). Probes
// do not read it.
struct ProbeExtra {
  std::uint8_t entries = 0;
  std::vector<std::byte> bytes;  // the entries, and what a newer minor version adds behind them
  friend bool operator==(const ProbeExtra&, const ProbeExtra&) = default;
};

struct Probe {
  bool reply = false;
  PartyId asker{};            // the requester; echoed
  std::uint64_t session = 0;  // random, of the requester; echoed
  std::uint64_t sequence = 0;
  std::uint64_t sent_ns = 0;  // the requester's monotonic clock, echoed
  // In replies: the challenge that the next request must repeat before its claims count; 0: none
  // (tunnel/probe/freshness.h). In requests: the challenge of the last reply.
  std::uint64_t challenge = 0;
  std::uint32_t sender = 0;            // gateway ordinal, or 0xffffffff for a node
  bool draining = false;               // replies: the replier is about to stop
  std::vector<ProbeCluster> clusters;  // replies: remote clusters as the replier sees them
  ProbeExtra extra;
  friend bool operator==(const Probe&, const Probe&) = default;
};

using ProbeKey = PairKey;

// The fields that a reader may use before it knows the key. Nothing proves them.
struct ProbeEnvelope {
  bool reply = false;
  PartyId asker{};
};

// The major version of a probe datagram, if it is not ours.
[[nodiscard]] std::optional<unsigned> foreign_version(std::span<const std::byte> packet);
// kInvalid: the datagram is no probe of our major version.
[[nodiscard]] Result<ProbeEnvelope> parse_envelope(std::span<const std::byte> packet);
// Accepts any bytes. kInvalid: wrong size, version or clusters. kDenied: wrong tag. Unknown flags
// are skipped, because a newer minor version may have them.
[[nodiscard]] Result<Probe> parse_probe(std::span<const std::byte> packet, const ProbeKey& key);

// At most kMaxProbe bytes. Clusters that do not fit are left out, and so is an extra part beyond
// extra_room().
[[nodiscard]] std::vector<std::byte> serialize(const Probe& probe, const ProbeKey& key);
// How many bytes of an extra part fit beside the clusters of `probe`.
[[nodiscard]] std::size_t extra_room(const Probe& probe);
// Writes the tag into the last bytes of a datagram. It covers all bytes before it.
void seal_probe(std::span<std::byte> packet, const ProbeKey& key);

// Tells an asker of another major version which one we speak. It has no proof, so it only changes
// words for people.
[[nodiscard]] std::vector<std::byte> version_notice();

}  // namespace cw::tunnel
