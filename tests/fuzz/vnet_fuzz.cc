// IP packets as a TUN or a peer may give them: cut, joined, answered. A joined packet cuts back to
// as many bytes. No byte outside of the buffers is read or written.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "tunnel/engine/icmp.h"
#include "tunnel/engine/inner.h"
#include "tunnel/engine/vnet.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {  // NOLINT
  using namespace cw::tunnel::engine;
  VnetHeader header;
  if (size < sizeof header || size > 65535) return 0;
  std::memcpy(&header, data, sizeof header);
  const Bytes packet(data + sizeof header, size - sizeof header);
  const auto largest = largest_segment(header, packet);
  std::vector<std::uint16_t> lengths(256);
  if (largest && *largest <= 2048) {
    std::vector<std::uint8_t> out(256 * 2048);
    const auto count = split(header, packet, out, 2048, lengths);
    std::vector<std::vector<std::uint8_t>> segments;
    for (std::size_t i = 0; count && i < *count; ++i) {
      CW_CHECK(lengths[i] <= *largest);
      segments.emplace_back(out.begin() + static_cast<std::ptrdiff_t>(i * 2048),
                            out.begin() + static_cast<std::ptrdiff_t>(i * 2048 + lengths[i]));
    }
    Joiner joiner({});
    for (auto& segment : segments) joiner.add(segment);
    joiner.finish();
    std::size_t pieces = 0;
    for (const auto& item : joiner.items()) {
      std::size_t length = 0;
      for (const auto& piece : item.pieces) length += piece.size();
      CW_CHECK(length == item.length && item.pieces.size() == item.segments);
      pieces += item.segments;
    }
    CW_CHECK(pieces == segments.size());
  }
  const auto inner = parse_inner(packet);
  if (inner) CW_CHECK(inner->length <= packet.size());
  std::vector<std::uint8_t> copy(packet.begin(), packet.end());
  if (inner) (void)ecn_decapsulate(copy, 3);
  const auto answer = unreachable_for(packet);
  if (!answer.empty()) CW_CHECK(unreachable_for(answer).empty());
  return 0;
}
