#include "tunnel/probe/echo.h"

#include <sodium.h>

#include <algorithm>

#include "base/big_endian.h"

namespace cw::tunnel {

namespace {

// 0 "CWE" | 3 major version, a digit | 4 type | 5 minor version | 6 zero 2 | 8 session 8 |
// 16 sequence 8 | 24 tag 16 | 40 zeros
constexpr std::array<std::byte, 4> kMagic = {std::byte{'C'}, std::byte{'W'}, std::byte{'E'},
                                             std::byte{'0' + kProbeMajor}};
constexpr std::byte kRequest{1};
constexpr std::byte kReply{2};
constexpr std::size_t kTagAt = 24;
constexpr std::size_t kTag = 16;

// The tag over the packet as a request, with the tag's own bytes zero.
std::array<std::uint8_t, kTag> tag_of(std::vector<std::byte> packet, const ProbeKey& key) {
  packet[4] = kRequest;
  std::fill_n(packet.begin() + kTagAt, kTag, std::byte{0});
  std::array<std::uint8_t, kTag> tag{};
  CW_CHECK(crypto_generichash(tag.data(), tag.size(),
                              reinterpret_cast<const unsigned char*>(packet.data()), packet.size(),
                              key.data(), key.size()) == 0);
  return tag;
}

bool is_echo(std::span<const std::byte> packet, std::byte type) {
  return packet.size() >= kEchoHeader && packet.size() <= kMaxEcho &&
         std::equal(kMagic.begin(), kMagic.end(), packet.begin()) && packet[4] == type;
}

}  // namespace

std::vector<std::byte> echo_request(const Echo& echo, std::size_t size, const ProbeKey& key) {
  std::vector<std::byte> out(std::clamp(size, kEchoHeader, kMaxEcho));
  std::copy(kMagic.begin(), kMagic.end(), out.begin());
  out[4] = kRequest;
  out[5] = static_cast<std::byte>(kProbeMinor);
  put_big_endian(std::span(out), 8, echo.session);
  put_big_endian(std::span(out), 16, echo.sequence);
  const auto tag = tag_of(out, key);
  std::transform(tag.begin(), tag.end(), out.begin() + kTagAt,
                 [](std::uint8_t b) { return std::byte{b}; });
  return out;
}

bool turn_into_reply(std::span<std::byte> packet) {
  if (!is_echo(packet, kRequest)) return false;
  packet[4] = kReply;
  return true;
}

Result<Echo> parse_echo_reply(std::span<const std::byte> packet, const ProbeKey& key) {
  if (!is_echo(packet, kReply)) return fail(Errc::kInvalid, "echo: not a reply");
  const auto want = tag_of({packet.begin(), packet.end()}, key);
  if (sodium_memcmp(want.data(), packet.data() + kTagAt, kTag) != 0) {
    return fail(Errc::kDenied, "echo: wrong key");
  }
  return Echo{get_big_endian<std::uint64_t>(packet, 8), get_big_endian<std::uint64_t>(packet, 16)};
}

}  // namespace cw::tunnel
