// WireGuard messages and inner packets at the engine's protocol: an unauthenticated message gets no
// answer.
#include <cstddef>
#include <cstdint>

#include "base/fake/sim_loop.h"
#include "tunnel/engine/protocol.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {  // NOLINT
  using namespace cw::tunnel::engine;
  static cw::SeededRandom random(1);
  static const auto protocol = [] {
    auto made = std::make_unique<Protocol>(random);
    made->set_private_key(cw::tunnel::Key::generate_private(random));
    auto* peer = made->add_peer(cw::tunnel::Key::generate_private(random).public_key());
    made->add_allowed_ip(*peer, *cw::Prefix::parse("10.0.0.0/8"));
    return made;
  }();
  const cw::TimePoint now{std::chrono::hours(1)};
  const cw::WallTime wall{std::chrono::hours(400'000)};
  Output out;
  protocol->on_datagram({data, size}, {{}, {}, 0}, now, wall, 0, out);
  CW_CHECK(out.datagrams.empty() && out.packets.empty());
  (void)protocol->encrypt({data, size}, now, wall, out);
  return 0;
}
