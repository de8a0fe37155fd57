// The datagram of probes through a gateway (docs/protocol/probe.md): the node's own words, padded
// to the size that is to be tried; a remote gateway sends them back with another type. The tag
// covers the request. Its key is random, of the asking process: no other needs to know it. The
// remote gateway reads the version and the type only, so every minor version works. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "tunnel/probe/packet.h"

namespace cw::tunnel {

inline constexpr std::size_t kEchoHeader = 40;
inline constexpr std::size_t kMaxEcho = 9000;

struct Echo {
  std::uint64_t session = 0;   // random, of the asking process
  std::uint64_t sequence = 0;  // of one path
  friend bool operator==(const Echo&, const Echo&) = default;
};

// A request of `size` bytes (kEchoHeader to kMaxEcho; cut to that).
[[nodiscard]] std::vector<std::byte> echo_request(const Echo& echo, std::size_t size,
                                                  const ProbeKey& key);
// Makes a reply of a request, in place; false if it is none.
[[nodiscard]] bool turn_into_reply(std::span<std::byte> packet);
// Of a reply to a request with this key: kInvalid or kDenied for anything else.
[[nodiscard]] Result<Echo> parse_echo_reply(std::span<const std::byte> packet, const ProbeKey& key);

}  // namespace cw::tunnel
