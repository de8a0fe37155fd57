// Chooses the endpoint candidate of a remote gateway. WireGuard's own handshake tries the
// candidates in order, each for a while, round and round, until one works. An endpoint that works
// stays, also when it is no candidate any more: names and NATs change, and running traffic goes on.
// Pure: time is an argument.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <vector>

#include "base/loop.h"
#include "base/prefix.h"
#include "gateway/feed/statement.h"

namespace cw::gateway {

// WireGuard tries a handshake every 5 s (REKEY_TIMEOUT), so each new endpoint gets at least one.
inline constexpr Duration kCandidatePatience = std::chrono::seconds(5);

// If the initiations of two gateways cross in flight, each drops the other's response. With traffic
// waiting on both sides, both try again exactly 5 s later, and cross again for ever. So one side
// must start again at another moment.
inline constexpr Duration kNudgeAfter = std::chrono::milliseconds(1500);

// The longest life of a WireGuard session (REJECT_AFTER_TIME).
inline constexpr Duration kSessionLife = std::chrono::seconds(180);

// The state of a peer now. Any progress since the last look means that its endpoint works.
struct PeerSigns {
  bool usable = false;  // by the verdict of our probes
  WallTime last_handshake{};
  std::uint64_t rx_bytes = 0;
  // The last handshake is younger than kSessionLife. Without a session, received bytes are only
  // handshakes that lead nowhere.
  bool session = false;
};

struct EndpointPick {
  std::optional<Endpoint> endpoint;  // none: no candidates, so the peer must call us
  bool nudge = false;                // start again now; once per try that has had no handshake
  friend bool operator==(const EndpointPick&, const EndpointPick&) = default;
};

class EndpointTrials {
 public:
  // `silence`: how long a peer that worked may be silent before another candidate is tried. Some
  // keepalive intervals: its gateway may restart while its kernel goes on.
  explicit EndpointTrials(Duration silence) : silence_(silence) {}

  EndpointPick pick(const GatewayId& id, const std::vector<Endpoint>& candidates,
                    const PeerSigns& signs, TimePoint now);
  void keep_only(const std::set<GatewayId>& ids);

 private:
  struct Trial {
    Endpoint endpoint;
    TimePoint since{};
    bool proven = false;
    bool nudged = false;
    PeerSigns signs;
  };
  Duration silence_;
  std::map<GatewayId, Trial> trials_;
};

}  // namespace cw::gateway
