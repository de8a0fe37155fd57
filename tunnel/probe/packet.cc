#include "tunnel/probe/packet.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <sodium.h>

#include <algorithm>

namespace cw::tunnel {

namespace {

// Layout (docs/protocol/probe.md), all numbers big endian:
//   0 "CWP" | 3 major version, a digit | 4 minor version | 5 type | 6 flags | 7 zero | 8 asker 16 |
//   24 session 8 | 32 sequence 8 | 40 sent 8 | 48 challenge 8 | 56 sender 4 | 60 count of clusters
//   | 61 count of claims | 62 zero 2 | 64 clusters: (flags 1, length 1, id)... | claims: (flags 1,
//   prefix length 1, id length 1, id, address 4 or 16, ordinal 4, epoch 8)... | extensions: (type
//   2, length 2, value)... | tag 16, over all before it
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
constexpr unsigned kSettled = 1;  // claim flags
constexpr unsigned kV6 = 2;
constexpr unsigned kOld = 4;

template <typename T>
void put(std::vector<std::byte>& out, std::size_t at, T value) {
  for (std::size_t i = 0; i < sizeof value; ++i) {
    out[at + i] = static_cast<std::byte>(value >> (8 * (sizeof value - 1 - i)));
  }
}

template <typename T>
T get(std::span<const std::byte> in, std::size_t at) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof value; ++i) {
    value = static_cast<T>(value << 8U | std::to_integer<T>(in[at + i]));
  }
  return value;
}

template <typename T>
void append(std::vector<std::byte>& out, T value) {
  out.resize(out.size() + sizeof value);
  put(out, out.size() - sizeof value, value);
}

void append_claim(std::vector<std::byte>& out, const ProbeClaim& entry) {
  const auto& [cluster, prefix] = entry.key;
  const bool v6 = !prefix.is_v4();
  append(out, static_cast<std::uint8_t>((entry.settled ? kSettled : 0) | (v6 ? kV6 : 0) |
                                        (entry.old ? kOld : 0)));
  append(out, static_cast<std::uint8_t>(prefix.length()));
  append(out, static_cast<std::uint8_t>(cluster.size()));
  for (const char c : cluster) out.push_back(static_cast<std::byte>(c));
  for (const auto byte : prefix.address().bytes()) out.push_back(static_cast<std::byte>(byte));
  append(out, entry.claim.ordinal);
  append(out, entry.claim.epoch);
}

// Cuts one claim off `rest`.
std::optional<ProbeClaim> cut_claim(std::span<const std::byte>& rest) {
  if (rest.size() < 3) return std::nullopt;
  const auto flags = std::to_integer<unsigned>(rest[0]);
  const auto length = std::to_integer<unsigned>(rest[1]);
  const auto id = std::to_integer<std::size_t>(rest[2]);
  const std::size_t width = (flags & kV6) != 0 ? 16 : 4;
  const auto size = 3 + id + width + 12;
  if (id > kMaxId || rest.size() < size) return std::nullopt;
  ProbeClaim entry;
  entry.settled = (flags & kSettled) != 0;
  entry.old = (flags & kOld) != 0;
  for (const auto c : rest.subspan(3, id)) entry.key.cluster += static_cast<char>(c);
  std::array<std::uint8_t, 16> bytes{};
  std::transform(rest.begin() + static_cast<std::ptrdiff_t>(3 + id),
                 rest.begin() + static_cast<std::ptrdiff_t>(3 + id + width), bytes.begin(),
                 [](std::byte b) { return std::to_integer<std::uint8_t>(b); });
  const auto address = IpAddress::from_bytes({bytes.data(), width});
  if (!address) return std::nullopt;
  const auto prefix = Prefix::of(*address, length);
  if (!prefix || prefix->address() != *address) return std::nullopt;  // has host bits
  entry.key.prefix = *prefix;
  entry.claim.ordinal = get<std::uint32_t>(rest, 3 + id + width);
  entry.claim.epoch = get<std::uint64_t>(rest, 3 + id + width + 4);
  rest = rest.subspan(size);
  return entry;
}

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

// Skips one extension. This version has none.
bool cut_extension(std::span<const std::byte>& rest) {
  if (rest.size() < 4) return false;
  const auto size = std::size_t{4} + get<std::uint16_t>(rest, 2);
  if (rest.size() < size) return false;
  rest = rest.subspan(size);
  return true;
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
  std::string input("causeway party id");
  input.append(reinterpret_cast<const char*>(public_key.bytes().data()), 32);
  input.append(party_name(party));
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  CW_CHECK(EVP_Digest(input.data(), input.size(), digest.data(), nullptr, EVP_sha256(), nullptr) ==
           1);
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
  put(out, 24, probe.session);
  put(out, 32, probe.sequence);
  put(out, 40, probe.sent_ns);
  put(out, 48, probe.challenge);
  put(out, 56, probe.sender);
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
  std::size_t claims = 0;
  for (const auto& entry : probe.claims) {
    const auto size = 3 + entry.key.cluster.size() + (entry.key.prefix.is_v4() ? 4U : 16U) + 12;
    if (claims == kMaxClaims || entry.key.cluster.size() > kMaxId ||
        out.size() + size + kTag > kMaxProbe) {
      continue;
    }
    append_claim(out, entry);
    ++claims;
  }
  out[61] = static_cast<std::byte>(claims);
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
  probe.session = get<std::uint64_t>(packet, 24);
  probe.sequence = get<std::uint64_t>(packet, 32);
  probe.sent_ns = get<std::uint64_t>(packet, 40);
  probe.challenge = get<std::uint64_t>(packet, 48);
  probe.sender = get<std::uint32_t>(packet, 56);
  const auto clusters = std::to_integer<unsigned>(packet[60]);
  const auto claims = std::to_integer<unsigned>(packet[61]);
  if (clusters > kMaxClusters) return bad("too many clusters");
  if (claims > kMaxClaims) return bad("too many claims");
  auto rest = covered.subspan(kHeader);
  for (unsigned i = 0; i < clusters; ++i) {
    auto cluster = cut_cluster(rest);
    if (!cluster) return bad("cluster entry");
    probe.clusters.push_back(std::move(*cluster));
  }
  for (unsigned i = 0; i < claims; ++i) {
    auto entry = cut_claim(rest);
    if (!entry) return bad("claim entry");
    probe.claims.push_back(std::move(*entry));
  }
  while (!rest.empty()) {
    if (!cut_extension(rest)) return bad("extension");
  }
  return probe;
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
