#include "tunnel/probe/packet.h"

#include <fmt/format.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <algorithm>
#include <cstring>

namespace cw::tunnel {

namespace {

// Layout (docs/protocol/probe.md), all numbers big endian:
//   0 magic "CWP2" | 4 type | 5 flags | 6 count of clusters | 7 count of claims | 8 session 8 |
//   16 sequence 8 | 24 sent 8 | 32 sender 4 | 36 tag 16 | 52 clusters: (flags 1, length 1, id)... |
//   claims: (flags 1, prefix length 1, id length 1, id, address 4 or 16, ordinal 4, epoch 8)...
// The tag is over everything with the tag's own bytes zero.
constexpr std::size_t kHeader = 52;
constexpr std::size_t kTagAt = 36;
constexpr std::size_t kTag = 16;
constexpr std::size_t kMaxClusters = 64;
constexpr std::size_t kMaxId = 63;
constexpr std::array<std::byte, 4> kMagic = {std::byte{'C'}, std::byte{'W'}, std::byte{'P'},
                                             std::byte{'2'}};
constexpr unsigned kSettled = 1;  // claim flags
constexpr unsigned kV6 = 2;

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
  append(out, static_cast<std::uint8_t>((entry.settled ? kSettled : 0) | (v6 ? kV6 : 0)));
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
  if (flags > (kSettled | kV6) || id > kMaxId || rest.size() < size) return std::nullopt;
  ProbeClaim entry;
  entry.settled = (flags & kSettled) != 0;
  for (const auto c : rest.subspan(3, id)) entry.key.cluster += static_cast<char>(c);
  std::array<std::uint8_t, 16> bytes{};
  std::transform(rest.begin() + static_cast<std::ptrdiff_t>(3 + id),
                 rest.begin() + static_cast<std::ptrdiff_t>(3 + id + width), bytes.begin(),
                 [](std::byte b) { return std::to_integer<std::uint8_t>(b); });
  const auto address = IpAddress::from_bytes({bytes.data(), width});
  if (!address) return std::nullopt;
  const auto prefix = Prefix::of(*address, length);
  if (!prefix || prefix->address() != *address) return std::nullopt;  // host bits
  entry.key.prefix = *prefix;
  entry.claim.ordinal = get<std::uint32_t>(rest, 3 + id + width);
  entry.claim.epoch = get<std::uint64_t>(rest, 3 + id + width + 4);
  rest = rest.subspan(size);
  return entry;
}

// HMAC-SHA256 with the key of the last call: setting it up costs several times what a datagram
// does.
class Mac {
 public:
  Mac() : mac_(EVP_MAC_fetch(nullptr, "HMAC", nullptr)), context_(EVP_MAC_CTX_new(mac_)) {
    CW_CHECK(context_ != nullptr);
  }
  ~Mac() {
    EVP_MAC_CTX_free(context_);
    EVP_MAC_free(mac_);
    OPENSSL_cleanse(key_.data(), key_.size());
  }
  Mac(const Mac&) = delete;
  Mac& operator=(const Mac&) = delete;

  void start(const ProbeKey& key) {
    if (ready_ && key == key_) {
      CW_CHECK(EVP_MAC_init(context_, nullptr, 0, nullptr) == 1);
      return;
    }
    std::array<char, 7> digest{"SHA256"};
    const std::array<OSSL_PARAM, 2> parameters{
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest.data(), 0),
        OSSL_PARAM_construct_end()};
    CW_CHECK(EVP_MAC_init(context_, key.data(), key.size(), parameters.data()) == 1);
    key_ = key;
    ready_ = true;
  }
  void add(std::span<const std::byte> bytes) {
    CW_CHECK(EVP_MAC_update(context_, reinterpret_cast<const unsigned char*>(bytes.data()),
                            bytes.size()) == 1);
  }
  [[nodiscard]] std::array<unsigned char, EVP_MAX_MD_SIZE> end() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    std::size_t size = 0;
    CW_CHECK(EVP_MAC_final(context_, digest.data(), &size, digest.size()) == 1);
    return digest;
  }

 private:
  EVP_MAC* mac_;
  EVP_MAC_CTX* context_;
  ProbeKey key_{};
  bool ready_ = false;
};

std::array<std::byte, kTag> tag_of(std::span<const std::byte> packet, const ProbeKey& key) {
  thread_local Mac mac;
  constexpr std::array<std::byte, kTag> kNone{};
  mac.start(key);
  mac.add(packet.first(kTagAt));
  mac.add(kNone);
  mac.add(packet.subspan(kTagAt + kTag));
  const auto digest = mac.end();
  std::array<std::byte, kTag> tag{};
  std::memcpy(tag.data(), digest.data(), tag.size());
  return tag;
}

}  // namespace

std::vector<std::byte> serialize(const Probe& probe, const std::optional<ProbeKey>& key) {
  std::vector<std::byte> out(kHeader);
  std::copy(kMagic.begin(), kMagic.end(), out.begin());
  out[4] = static_cast<std::byte>(probe.reply ? 2 : 1);
  out[5] = static_cast<std::byte>(probe.draining ? 1 : 0);
  put(out, 8, probe.session);
  put(out, 16, probe.sequence);
  put(out, 24, probe.sent_ns);
  put(out, 32, probe.sender);
  std::size_t count = 0;
  for (const auto& cluster : probe.clusters) {
    if (count == kMaxClusters || cluster.id.empty() || cluster.id.size() > kMaxId ||
        out.size() + 2 + cluster.id.size() > kMaxProbe) {
      continue;
    }
    out.push_back(static_cast<std::byte>((cluster.reachable ? 1 : 0) | (cluster.degraded ? 2 : 0)));
    out.push_back(static_cast<std::byte>(cluster.id.size()));
    for (const char c : cluster.id) out.push_back(static_cast<std::byte>(c));
    ++count;
  }
  out[6] = static_cast<std::byte>(count);
  std::size_t claims = 0;
  for (const auto& entry : probe.claims) {
    const auto size = 3 + entry.key.cluster.size() + (entry.key.prefix.is_v4() ? 4U : 16U) + 12;
    if (claims == kMaxClaims || entry.key.cluster.size() > kMaxId ||
        out.size() + size > kMaxProbe) {
      continue;
    }
    append_claim(out, entry);
    ++claims;
  }
  out[7] = static_cast<std::byte>(claims);
  if (key) {
    const auto tag = tag_of(out, *key);
    std::copy(tag.begin(), tag.end(), out.begin() + kTagAt);
  }
  return out;
}

Result<Probe> parse_probe(std::span<const std::byte> packet, const std::optional<ProbeKey>& key) {
  const auto bad = [](const char* what) {
    return fail(Errc::kInvalid, fmt::format("probe: {}", what));
  };
  if (packet.size() < kHeader || packet.size() > kMaxProbe) return bad("size");
  if (!std::equal(kMagic.begin(), kMagic.end(), packet.begin())) return bad("magic or version");
  if (key) {
    const auto want = tag_of(packet, *key);
    if (CRYPTO_memcmp(want.data(), packet.data() + kTagAt, kTag) != 0) {
      return fail(Errc::kDenied, "probe: wrong key");
    }
  }
  const auto type = std::to_integer<unsigned>(packet[4]);
  const auto flags = std::to_integer<unsigned>(packet[5]);
  if (type != 1 && type != 2) return bad("type");
  if (flags > 1) return bad("flags");
  Probe probe;
  probe.reply = type == 2;
  probe.draining = flags == 1;
  const auto count = std::to_integer<unsigned>(packet[6]);
  const auto claims = std::to_integer<unsigned>(packet[7]);
  probe.session = get<std::uint64_t>(packet, 8);
  probe.sequence = get<std::uint64_t>(packet, 16);
  probe.sent_ns = get<std::uint64_t>(packet, 24);
  probe.sender = get<std::uint32_t>(packet, 32);
  if (count > kMaxClusters) return bad("too many clusters");
  auto rest = packet.subspan(kHeader);
  for (unsigned i = 0; i < count; ++i) {
    if (rest.size() < 2) return bad("cut off");
    const auto length = std::to_integer<std::size_t>(rest[1]);
    const auto how = std::to_integer<unsigned>(rest[0]);
    if (how > 3 || length == 0 || length > kMaxId || rest.size() < 2 + length) {
      return bad("cluster entry");
    }
    ProbeCluster cluster;
    cluster.reachable = (how & 1U) != 0;
    cluster.degraded = (how & 2U) != 0;
    for (const auto c : rest.subspan(2, length)) cluster.id += static_cast<char>(c);
    probe.clusters.push_back(std::move(cluster));
    rest = rest.subspan(2 + length);
  }
  if (claims > kMaxClaims) return bad("too many claims");
  for (unsigned i = 0; i < claims; ++i) {
    auto entry = cut_claim(rest);
    if (!entry) return bad("claim entry");
    probe.claims.push_back(std::move(*entry));
  }
  if (!rest.empty()) return bad("trailing bytes");
  return probe;
}

}  // namespace cw::tunnel
