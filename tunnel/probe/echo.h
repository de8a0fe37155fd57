// The datagram of probes through a gateway (docs/protocol/probe.md). The node fills it to the size
// that is to be tried. A remote gateway sends it back with another type. The tag covers the
// request; its key is random and stays in the asking process. The remote gateway reads only the
// version and the type, so every minor version works. Pure.
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
  std::uint64_t sequence = 0;  // per path
  friend bool operator==(const Echo&, const Echo&) = default;
};

// A request of `size` bytes. A size outside of kEchoHeader to kMaxEcho is clamped.
[[nodiscard]] std::vector<std::byte> echo_request(const Echo& echo, std::size_t size,
                                                  const ProbeKey& key);
// Turns a request into a reply, in place. False if it is not a request.
[[nodiscard]] bool turn_into_reply(std::span<std::byte> packet);
// Parses a reply to a request with this key. kInvalid or kDenied for anything else.
[[nodiscard]] Result<Echo> parse_echo_reply(std::span<const std::byte> packet, const ProbeKey& key);

}  // namespace cw::tunnel
