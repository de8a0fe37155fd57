#include "tunnel/probe/packet.h"

#include <fmt/format.h>
#include <sodium.h>

#include <algorithm>

#include "base/big_endian.h"

namespace cw::tunnel {

namespace {

// Layout (docs/protocol/probe.md), all numbers big endian:
//   0 "CWP" | 3 major version, a digit | 4 minor version | 5 type | 6 flags | 7 zero | 8 asker 16 |
//   24 session 8 | 32 sequence 8 | 40 sent 8 | 48 challenge 8 | 56 sender 4 | 60 count of clusters
//   | 61 count of entries in the extra part | 62 zero 2 | 64 clusters: (flags 1, length 1, id)... |
//   the extra part | tag 16, over all before it
constexpr std::size_t kHeader = 64;
constexpr std::size_t kTag = 16;
static_assert(kHeader + kTag == kMinProbe);
constexpr std::size_t kMaxClusters = 64;
constexpr std::size_t kMaxId = 63;
constexpr std::array<std::byte, 3> kMagic = {std::byte{'C'}, std::byte{'W'}, std::byte{'P'}};
constexpr std::byte kMajor{'0' + kProbeMajor};
constexpr unsigned kRequest = 1;  // types
constexpr unsigned kReply = 2;
constexpr unsigned kNotice = 3;
constexpr unsigned kDraining = 1;   // flags
constexpr unsigned kReachable = 1;  // cluster flags
constexpr unsigned kDegraded = 2;

// Cuts one cluster off `rest`.
std::optional<ProbeCluster> cut_cluster(std::span<const std::byte>& rest) {
  if (rest.size() < 2) return std::nullopt;
  const auto flags = std::to_integer<unsigned>(rest[0]);
  const auto length = std::to_integer<std::size_t>(rest[1]);
  if (length == 0 || length > kMaxId || rest.size() < 2 + length) return std::nullopt;
  ProbeCluster cluster;
  cluster.reachable = (flags & kReachable) != 0;
  cluster.degraded = (flags & kDegraded) != 0;
  for (const auto c : rest.subspan(2, length)) cluster.id += static_cast<char>(c);
  rest = rest.subspan(2 + length);
  return cluster;
}

bool is_probe(std::span<const std::byte> packet) {
  return packet.size() >= kMagic.size() + 1 &&
         std::equal(kMagic.begin(), kMagic.end(), packet.begin());
}

// libsodium's one-shot call needs no set-up per key; a gateway has a thousand keys.
std::array<std::uint8_t, kTag> tag_of(std::span<const std::byte> covered, const ProbeKey& key) {
  static const bool kReady = sodium_init() >= 0;  // chooses the implementation for this processor
  CW_CHECK(kReady);
  std::array<std::uint8_t, kTag> tag{};
  CW_CHECK(crypto_generichash(tag.data(), tag.size(),
                              reinterpret_cast<const unsigned char*>(covered.data()),
                              covered.size(), key.data(), key.size()) == 0);
  return tag;
}

}  // namespace

PartyId party_id(const Key& public_key, const ProbeParty& party) {
  const auto digest = digest_of("causeway party id", {&public_key}, party_name(party));
  PartyId id{};
  std::copy_n(digest.begin(), id.size(), id.begin());
  return id;
}

std::optional<unsigned> foreign_version(std::span<const std::byte> packet) {
  if (!is_probe(packet) || packet[3] == kMajor) return std::nullopt;
  const auto digit = std::to_integer<unsigned>(packet[3]);
  if (digit < '0' || digit > '9') return std::nullopt;
  return digit - '0';
}

Result<ProbeEnvelope> parse_envelope(std::span<const std::byte> packet) {
  const auto bad = [](const char* what) {
    return fail(Errc::kInvalid, fmt::format("probe: {}", what));
  };
  if (packet.size() < kMinProbe || packet.size() > kMaxProbe) return bad("size");
  if (!is_probe(packet) || packet[3] != kMajor) return bad("magic or version");
  const auto type = std::to_integer<unsigned>(packet[5]);
  if (type != kRequest && type != kReply) return bad("type");
  ProbeEnvelope envelope;
  envelope.reply = type == kReply;
  std::transform(packet.begin() + 8, packet.begin() + 24, envelope.asker.begin(),
                 [](std::byte b) { return std::to_integer<std::uint8_t>(b); });
  return envelope;
}

void seal_probe(std::span<std::byte> packet, const ProbeKey& key) {
  const auto tag = tag_of(packet.first(packet.size() - kTag), key);
  std::transform(tag.begin(), tag.end(), packet.end() - static_cast<std::ptrdiff_t>(kTag),
                 [](std::uint8_t b) { return std::byte{b}; });
}

std::vector<std::byte> serialize(const Probe& probe, const ProbeKey& key) {
  std::vector<std::byte> out(kHeader);
  std::copy(kMagic.begin(), kMagic.end(), out.begin());
  out[3] = kMajor;
  out[4] = static_cast<std::byte>(kProbeMinor);
  out[5] = static_cast<std::byte>(probe.reply ? kReply : kRequest);
  out[6] = static_cast<std::byte>(probe.draining ? kDraining : 0);
  std::transform(probe.asker.begin(), probe.asker.end(), out.begin() + 8,
                 [](std::uint8_t b) { return std::byte{b}; });
  put_big_endian(std::span(out), 24, probe.session);
  put_big_endian(std::span(out), 32, probe.sequence);
  put_big_endian(std::span(out), 40, probe.sent_ns);
  put_big_endian(std::span(out), 48, probe.challenge);
  put_big_endian(std::span(out), 56, probe.sender);
  std::size_t count = 0;
  for (const auto& cluster : probe.clusters) {
    if (count == kMaxClusters || cluster.id.empty() || cluster.id.size() > kMaxId ||
        out.size() + 2 + cluster.id.size() + kTag > kMaxProbe) {
      continue;
    }
    out.push_back(static_cast<std::byte>((cluster.reachable ? kReachable : 0) |
                                         (cluster.degraded ? kDegraded : 0)));
    out.push_back(static_cast<std::byte>(cluster.id.size()));
    for (const char c : cluster.id) out.push_back(static_cast<std::byte>(c));
    ++count;
  }
  out[60] = static_cast<std::byte>(count);
  if (out.size() + probe.extra.bytes.size() + kTag <= kMaxProbe) {
    out[61] = static_cast<std::byte>(probe.extra.entries);
    out.insert(out.end(), probe.extra.bytes.begin(), probe.extra.bytes.end());
  }
  out.resize(out.size() + kTag);
  seal_probe(out, key);
  return out;
}

Result<Probe> parse_probe(std::span<const std::byte> packet, const ProbeKey& key) {
  const auto bad = [](const char* what) {
    return fail(Errc::kInvalid, fmt::format("probe: {}", what));
  };
  const auto envelope = parse_envelope(packet);
  if (!envelope) return fail(envelope.error());
  const auto covered = packet.first(packet.size() - kTag);
  const auto want = tag_of(covered, key);
  if (sodium_memcmp(want.data(), packet.data() + covered.size(), kTag) != 0) {
    return fail(Errc::kDenied, "probe: wrong key");
  }
  Probe probe;
  probe.reply = envelope->reply;
  probe.asker = envelope->asker;
  probe.draining = (std::to_integer<unsigned>(packet[6]) & kDraining) != 0;
  probe.session = get_big_endian<std::uint64_t>(packet, 24);
  probe.sequence = get_big_endian<std::uint64_t>(packet, 32);
  probe.sent_ns = get_big_endian<std::uint64_t>(packet, 40);
  probe.challenge = get_big_endian<std::uint64_t>(packet, 48);
  probe.sender = get_big_endian<std::uint32_t>(packet, 56);
  const auto clusters = std::to_integer<unsigned>(packet[60]);
  if (clusters > kMaxClusters) return bad("too many clusters");
  auto rest = covered.subspan(kHeader);
  for (unsigned i = 0; i < clusters; ++i) {
    auto cluster = cut_cluster(rest);
    if (!cluster) return bad("cluster entry");
    probe.clusters.push_back(std::move(*cluster));
  }
  probe.extra = {std::to_integer<std::uint8_t>(packet[61]), {rest.begin(), rest.end()}};
  return probe;
}

std::size_t extra_room(const Probe& probe) {
  std::size_t used = kMinProbe;
  for (const auto& cluster : probe.clusters) used += 2 + cluster.id.size();
  return kMaxProbe - std::min(used, kMaxProbe);
}

std::vector<std::byte> version_notice() {
  std::vector<std::byte> out(8);
  std::copy(kMagic.begin(), kMagic.end(), out.begin());
  out[3] = kMajor;
  out[4] = static_cast<std::byte>(kProbeMinor);
  out[5] = static_cast<std::byte>(kNotice);
  return out;
}

}  // namespace cw::tunnel
