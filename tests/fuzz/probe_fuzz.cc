// A probe datagram: any bytes give a probe or a mistake; what parses serializes to the same bytes.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "tunnel/probe/packet.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {  // NOLINT
  using namespace cw::tunnel;
  const auto bytes = std::as_bytes(std::span(data, size));
  const auto probe = parse_probe(bytes, {});
  if (!probe) return 0;
  const auto again = parse_probe(serialize(*probe, {}), {});
  CW_CHECK(again.has_value() && *again == *probe);
  return 0;
}
