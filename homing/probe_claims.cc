#include "homing/probe_claims.h"

#include <algorithm>
#include <array>
#include <optional>
#include <span>

#include "base/big_endian.h"

namespace cw::homing {
namespace {

// One claim: flags 1 | prefix length 1 | id length 1 | id | address 4 or 16 | ordinal 4 | epoch 8
constexpr std::size_t kMaxId = 63;
constexpr unsigned kSettled = 1;  // flags
constexpr unsigned kV6 = 2;
constexpr unsigned kOld = 4;

std::size_t size_of(std::size_t id, bool v6) { return 3 + id + (v6 ? 16 : 4) + 12; }

void append(std::vector<std::byte>& out, const ProbeClaim& entry) {
  const auto& [cluster, prefix] = entry.key;
  out.push_back(static_cast<std::byte>((entry.settled ? kSettled : 0) | (prefix.is_v4() ? 0 : kV6) |
                                       (entry.old ? kOld : 0)));
  out.push_back(static_cast<std::byte>(prefix.length()));
  out.push_back(static_cast<std::byte>(cluster.size()));
  for (const char c : cluster) out.push_back(static_cast<std::byte>(c));
  for (const auto byte : prefix.address().bytes()) out.push_back(static_cast<std::byte>(byte));
  append_big_endian(out, entry.claim.ordinal);
  append_big_endian(out, entry.claim.epoch);
}

// Cuts one claim off `rest`.
std::optional<ProbeClaim> cut(std::span<const std::byte>& rest) {
  if (rest.size() < 3) return std::nullopt;
  const auto flags = std::to_integer<unsigned>(rest[0]);
  const auto length = std::to_integer<unsigned>(rest[1]);
  const auto id = std::to_integer<std::size_t>(rest[2]);
  const bool v6 = (flags & kV6) != 0;
  const auto size = size_of(id, v6);
  if (id > kMaxId || rest.size() < size) return std::nullopt;
  ProbeClaim entry;
  entry.settled = (flags & kSettled) != 0;
  entry.old = (flags & kOld) != 0;
  for (const auto c : rest.subspan(3, id)) entry.key.cluster += static_cast<char>(c);
  std::array<std::uint8_t, 16> bytes{};
  const auto address_bytes = rest.subspan(3 + id, v6 ? 16 : 4);
  std::transform(address_bytes.begin(), address_bytes.end(), bytes.begin(),
                 [](std::byte b) { return std::to_integer<std::uint8_t>(b); });
  const auto address = IpAddress::from_bytes({bytes.data(), address_bytes.size()});
  if (!address) return std::nullopt;
  const auto prefix = Prefix::of(*address, length);
  if (!prefix || prefix->address() != *address) return std::nullopt;  // has host bits
  entry.key.prefix = *prefix;
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

void put_claims(const std::vector<ProbeClaim>& claims, tunnel::Probe& probe) {
  probe.extra = {};
  const auto room = tunnel::extra_room(probe);
  for (const auto& entry : claims) {
    const auto& [cluster, prefix] = entry.key;
    if (probe.extra.entries == kMaxClaims || cluster.size() > kMaxId ||
        probe.extra.bytes.size() + size_of(cluster.size(), !prefix.is_v4()) > room) {
      continue;
    }
    append(probe.extra.bytes, entry);
    ++probe.extra.entries;
  }
}

}  // namespace cw::homing
