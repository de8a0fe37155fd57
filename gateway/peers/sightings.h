// Where gateways were seen. Behind a NAT a gateway does not know its own address and port, but the
// other end of each of its tunnels does. So remote gateways tell each other what they see
// (sighting_words.h), and the gateways of one cluster read it in each other's objects. A sighting
// is one more endpoint to try, after all others. It proves nothing: the WireGuard handshake does.
// Pure: time is an argument.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "base/loop.h"
#include "base/prefix.h"
#include "tunnel/key.h"
#include "tunnel/probe/party.h"

namespace cw::gateway {

// Identifies a gateway to a party that has its public key. Other parties learn nothing from it.
using SightingId = std::uint64_t;
[[nodiscard]] SightingId sighting_id(const tunnel::Key& public_key);

class Sightings {
 public:
  using Reporter = tunnel::GatewayId;
  static constexpr std::size_t kMaxOfReporter = 64;  // gateways of which one reporter may tell
  static constexpr std::size_t kMaxOfCluster =
      2;                                      // used sightings of a gateway, per reporting cluster
  static constexpr std::size_t kMaxUsed = 6;  // used sightings of a gateway
  static constexpr Duration kLife = std::chrono::minutes(1);  // since it was told last
  // A reporter's word about one gateway may change this often. A change begins another attempt.
  static constexpr Duration kChangeGap = std::chrono::seconds(10);

  // `reporter` sees the gateway at `at`. True: that is news.
  bool hear(const Reporter& reporter, SightingId id, const Endpoint& at, TimePoint now);
  // Forgets sightings that were not repeated. True: there was one.
  bool forget_old(TimePoint now);
  // The sightings of a gateway that are used, by reporter and without doubles.
  [[nodiscard]] std::vector<Endpoint> of(SightingId id) const;
  // All sightings of a gateway.
  [[nodiscard]] std::map<Reporter, Endpoint> told_about(SightingId id) const;

 private:
  struct Word {
    Endpoint at;
    TimePoint changed{};
    TimePoint told{};
  };
  std::map<Reporter, std::map<SightingId, Word>> words_;
};

}  // namespace cw::gateway
