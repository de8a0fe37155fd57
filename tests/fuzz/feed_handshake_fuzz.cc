// The feed's handshake on both sides, before any proof. Any bytes in any pieces give a step or an
// error, and never a proof. The first byte says how the rest is cut into pieces.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "gateway/feed/handshake.h"

namespace {

using namespace cw;           // NOLINT(google-build-using-namespace)
using namespace cw::gateway;  // NOLINT(google-build-using-namespace)

void must(bool holds) {
  if (!holds) std::abort();
}

constexpr tunnel::PairKey kShared{42};  // the input has this key by chance only

tunnel::Key key(std::uint8_t first) {
  std::array<std::uint8_t, 32> bytes{};
  bytes.front() = first;
  return tunnel::Key(bytes);
}

void feed(Handshake handshake, std::span<const std::uint8_t> bytes, std::size_t piece) {
  while (!bytes.empty()) {
    must(handshake.remaining() > 0 && handshake.remaining() <= kHandshakeSize);
    const auto size = std::min({piece, bytes.size(), handshake.remaining()});
    const auto step = handshake.receive(bytes.first(size));
    must(!step.done && (step.send.empty() || step.send.size() == kHandshakeSize));
    if (step.error) return;
    bytes = bytes.subspan(size);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {  // NOLINT
  if (size == 0) return 0;
  const std::span bytes(data + 1, size - 1);
  const std::size_t piece = 1U + data[0];
  if (const auto message = parse_handshake(bytes)) {
    const auto again = parse_handshake(encode_handshake(*message));
    must(again && *again == *message);
  }
  feed(Handshake::server(key(1), [](const tunnel::Key&) { return std::optional(kShared); }, {7}),
       bytes, piece);
  auto caller = Handshake::caller(key(2), key(1), kShared, {8});
  (void)caller.start();
  feed(std::move(caller), bytes, piece);
  return 0;
}
