// Every message type behind the checks that random bytes never pass. The macs are made valid, so
// that the fuzzer reaches the handshake, the cookie reply and (through a real session) the data
// path. One side of a pair of cores gets the other's messages, changed by the input.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/fake/sim_loop.h"
#include "tunnel/engine/protocol.h"

namespace {

using namespace cw::tunnel::engine;
using cw::tunnel::Key;

struct Side {
  explicit Side(std::uint64_t seed) : random(seed), key(Key::generate_private(random)) {
    protocol.set_private_key(key);
  }
  cw::SeededRandom random;
  Key key;
  Protocol protocol{random};
  Peer* peer = nullptr;
};

void know(Side& one, Side& other, const char* address, const char* net) {
  one.peer = one.protocol.add_peer(other.key.public_key());
  one.protocol.set_endpoint(*one.peer, *cw::Endpoint::parse(address));
  one.protocol.add_allowed_ip(*one.peer, *cw::Prefix::parse(net));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {  // NOLINT
  if (size < 4) return 0;
  Side a(1);
  Side b(2);
  know(a, b, "192.0.2.2:1", "10.2.0.0/16");
  know(b, a, "192.0.2.1:1", "10.1.0.0/16");
  const Path at_a{*cw::Endpoint::parse("192.0.2.1:1"), {}, 0};
  const Path at_b{*cw::Endpoint::parse("192.0.2.2:1"), {}, 0};
  const cw::TimePoint now{std::chrono::hours(1)};
  const cw::WallTime wall{std::chrono::hours(400'000)};
  std::vector<std::uint8_t> packet(64);
  packet[0] = 0x45;
  packet[3] = 64;
  packet[12] = packet[16] = 10;
  packet[13] = 1;
  packet[17] = 2;
  Output said;
  (void)a.protocol.encrypt(packet, now, wall, said);  // an initiation
  // Byte 0: which message is changed. Byte 1: sign it again. Byte 2: load.
  const unsigned chosen = data[0] % 4;
  const bool sign = (data[1] & 1U) != 0;
  const std::size_t queued = (data[2] & 1U) != 0 ? 600 : 0;
  Macs to_b(b.key.public_key());
  Macs to_a(a.key.public_key());
  for (unsigned step = 0; step < 4 && !said.datagrams.empty(); ++step) {
    auto message = said.datagrams[0].bytes;
    said = {};
    if (step == chosen) {
      for (std::size_t i = 3; i + 1 < size; i += 2) {
        if (message.empty()) break;
        auto& byte = message[data[i] % message.size()];
        byte = static_cast<std::uint8_t>(byte ^ data[i + 1]);
      }
      if (sign && (message.size() == kInitiationSize || message.size() == kResponseSize)) {
        (step % 2 == 0 ? to_b : to_a).sign(message, now);
      }
    }
    auto& receiver = step % 2 == 0 ? b : a;
    receiver.protocol.on_datagram(message, step % 2 == 0 ? at_a : at_b, now, wall, queued, said);
    // At most one answer per message.
    CW_CHECK(said.datagrams.size() <= 1);
  }
  return 0;
}
