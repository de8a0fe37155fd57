#include "homing/probe_claims.h"

#include <algorithm>
#include <optional>
#include <span>

#include "base/big_endian.h"

namespace cw::homing {
namespace {

// One claim: flags 1 | id length 1 | id of the cluster | owner 16 | ordinal 4 | epoch 8
constexpr std::size_t kMaxId = 63;
constexpr unsigned kSettled = 1;  // flags
constexpr unsigned kV6 = 2;
constexpr unsigned kOld = 4;
constexpr unsigned kWord = 8;
constexpr unsigned kObjects = 16;
constexpr unsigned kHold = 32;

std::size_t size_of(std::size_t id) { return 2 + id + sizeof(OwnerId) + 12; }

void append(std::vector<std::byte>& out, const ProbeClaim& entry) {
  const auto& [cluster, share] = entry.key;
  const bool v6 = share.family == Family::kV6;
  out.push_back(static_cast<std::byte>((entry.settled ? kSettled : 0) | (v6 ? kV6 : 0) |
                                       (entry.old ? kOld : 0) | (entry.word ? kWord : 0) |
                                       (entry.objects ? kObjects : 0) | (entry.hold ? kHold : 0)));
  out.push_back(static_cast<std::byte>(cluster.size()));
  for (const char c : cluster) out.push_back(static_cast<std::byte>(c));
  for (const auto byte : share.owner.bytes) out.push_back(static_cast<std::byte>(byte));
  append_big_endian(out, entry.claim.ordinal);
  append_big_endian(out, entry.claim.epoch);
}

// Cuts one claim off `rest`.
std::optional<ProbeClaim> cut(std::span<const std::byte>& rest) {
  if (rest.size() < 2) return std::nullopt;
  const auto flags = std::to_integer<unsigned>(rest[0]);
  const auto id = std::to_integer<std::size_t>(rest[1]);
  const auto size = size_of(id);
  if (id > kMaxId || rest.size() < size) return std::nullopt;
  ProbeClaim entry;
  entry.settled = (flags & kSettled) != 0;
  entry.old = (flags & kOld) != 0;
  entry.word = (flags & kWord) != 0;
  entry.objects = (flags & kObjects) != 0;
  entry.hold = (flags & kHold) != 0;
  for (const auto c : rest.subspan(2, id)) entry.key.cluster += static_cast<char>(c);
  auto& share = entry.key.share;
  share.family = (flags & kV6) != 0 ? Family::kV6 : Family::kV4;
  const auto owner = rest.subspan(2 + id, share.owner.bytes.size());
  std::transform(owner.begin(), owner.end(), share.owner.bytes.begin(),
                 [](std::byte b) { return std::to_integer<std::uint8_t>(b); });
  entry.claim.ordinal = get_big_endian<std::uint32_t>(rest, size - 12);
  entry.claim.epoch = get_big_endian<std::uint64_t>(rest, size - 8);
  rest = rest.subspan(size);
  return entry;
}

}  // namespace

std::vector<ProbeClaim> claims_of(const tunnel::Probe& probe) {
  std::vector<ProbeClaim> claims;
  if (probe.extra.entries > kMaxClaims) return {};
  std::span<const std::byte> rest = probe.extra.bytes;
  for (unsigned i = 0; i < probe.extra.entries; ++i) {
    auto entry = cut(rest);
    if (!entry) return {};
    claims.push_back(std::move(*entry));
  }
  return claims;
}

std::span<const std::byte> extensions_behind(const tunnel::Probe& probe) {
  std::span<const std::byte> rest = probe.extra.bytes;
  for (unsigned i = 0; i < probe.extra.entries; ++i) {
    if (!cut(rest)) return {};
  }
  return rest;
}

void append_extensions(const std::vector<std::byte>& extensions, tunnel::Probe& probe) {
  auto& bytes = probe.extra.bytes;
  if (bytes.size() + extensions.size() > tunnel::extra_room(probe)) return;
  bytes.insert(bytes.end(), extensions.begin(), extensions.end());
}

void put_claims(const std::vector<ProbeClaim>& claims, tunnel::Probe& probe) {
  probe.extra = {};
  const auto room = tunnel::extra_room(probe);
  for (const auto& entry : claims) {
    const auto id = entry.key.cluster.size();
    if (probe.extra.entries == kMaxClaims || id > kMaxId ||
        probe.extra.bytes.size() + size_of(id) > room) {
      continue;
    }
    append(probe.extra.bytes, entry);
    ++probe.extra.entries;
  }
}

}  // namespace cw::homing
