#include "gateway/peers/sighting_words.h"

#include <algorithm>
#include <array>
#include <optional>

#include "base/big_endian.h"

namespace cw::gateway {
namespace {

// An extension: type 2 | length 2 | value. Numbers are big endian.
//   kSought   ids, 8 bytes each
//   kSeen     id 8 | family 1 (4 or 6) | address 4 or 16 | port 2, for each gateway
constexpr std::uint16_t kSought = 1;
constexpr std::uint16_t kSeen = 2;
constexpr std::size_t kHead = 4;
constexpr std::size_t kId = sizeof(SightingId);

using Bytes = std::span<const std::byte>;

void append_extension(std::vector<std::byte>& out, std::uint16_t type,
                      const std::vector<std::byte>& value) {
  if (value.empty()) return;
  append_big_endian(out, type);
  append_big_endian(out, static_cast<std::uint16_t>(value.size()));
  out.insert(out.end(), value.begin(), value.end());
}

void read_sought(Bytes value, std::vector<SightingId>& sought) {
  for (; value.size() >= kId && sought.size() < kMaxSought; value = value.subspan(kId)) {
    sought.push_back(get_big_endian<SightingId>(value, 0));
  }
}

// Cuts one sighting off `rest`.
std::optional<std::pair<SightingId, Endpoint>> cut_seen(Bytes& rest) {
  if (rest.size() < kId + 1) return std::nullopt;
  const auto family = std::to_integer<unsigned>(rest[kId]);
  if (family != 4 && family != 6) return std::nullopt;
  const std::size_t length = family == 4 ? 4 : 16;
  if (rest.size() < kId + 1 + length + 2) return std::nullopt;
  std::array<std::uint8_t, 16> bytes{};
  const auto from = rest.subspan(kId + 1, length);
  std::transform(from.begin(), from.end(), bytes.begin(),
                 [](std::byte b) { return std::to_integer<std::uint8_t>(b); });
  const auto address = IpAddress::from_bytes({bytes.data(), length});
  if (!address) return std::nullopt;
  const Endpoint at{*address, get_big_endian<std::uint16_t>(rest, kId + 1 + length)};
  const auto id = get_big_endian<SightingId>(rest, 0);
  rest = rest.subspan(kId + 1 + length + 2);
  return std::pair(id, at);
}

void read_seen(Bytes value, std::vector<std::pair<SightingId, Endpoint>>& seen) {
  while (seen.size() < kMaxSeen) {
    const auto one = cut_seen(value);
    if (!one) return;
    if (one->second.port != 0) seen.push_back(*one);
  }
}

}  // namespace

SightingWords sighting_words(Bytes extensions) {
  SightingWords words;
  while (extensions.size() >= kHead) {
    const auto type = get_big_endian<std::uint16_t>(extensions, 0);
    const std::size_t length = get_big_endian<std::uint16_t>(extensions, 2);
    extensions = extensions.subspan(kHead);
    if (length > extensions.size()) break;
    if (type == kSought) read_sought(extensions.first(length), words.sought);
    if (type == kSeen) read_seen(extensions.first(length), words.seen);
    extensions = extensions.subspan(length);
  }
  return words;
}

std::vector<std::byte> extensions_of(const SightingWords& words) {
  std::vector<std::byte> sought;
  for (std::size_t n = 0; n < std::min(words.sought.size(), kMaxSought); ++n) {
    append_big_endian(sought, words.sought[n]);
  }
  std::vector<std::byte> seen;
  for (std::size_t n = 0; n < std::min(words.seen.size(), kMaxSeen); ++n) {
    const auto& [id, at] = words.seen[n];
    append_big_endian(seen, id);
    seen.push_back(static_cast<std::byte>(at.address.is_v4() ? 4 : 6));
    for (const auto byte : at.address.bytes()) seen.push_back(static_cast<std::byte>(byte));
    append_big_endian(seen, at.port);
  }
  std::vector<std::byte> out;
  append_extension(out, kSought, sought);
  append_extension(out, kSeen, seen);
  return out;
}

}  // namespace cw::gateway
