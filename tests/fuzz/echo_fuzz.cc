// A datagram of probes through a gateway. Any bytes are sent back or not, and accepted or not. An
// accepted reply is one that was asked for.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "tunnel/probe/echo.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {  // NOLINT
  using namespace cw::tunnel;
  const auto given = std::as_bytes(std::span(data, size));
  std::vector<std::byte> packet(given.begin(), given.end());
  const ProbeKey key{};
  const auto echo = parse_echo_reply(packet, key);
  if (echo) {
    auto again = echo_request(*echo, packet.size(), key);
    CW_CHECK(turn_into_reply(again));
    CW_CHECK(parse_echo_reply(again, key) && *parse_echo_reply(again, key) == *echo);
  }
  if (turn_into_reply(packet)) {
    CW_CHECK(packet.size() == size && !turn_into_reply(packet));
    (void)parse_echo_reply(packet, key);
  }
  return 0;
}
