// Which endpoint candidate of a remote gateway to use. Candidates are tried in order by WireGuard's
// handshake itself, each for a while, round and round, until one works; what works stays. Pure:
// time is an argument.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <vector>

#include "base/loop.h"
#include "base/prefix.h"
#include "gateway/feed/statement.h"

namespace cw::gateway {

// WireGuard tries a handshake every 5 s (REKEY_TIMEOUT); a new endpoint gets at least one.
inline constexpr Duration kCandidatePatience = std::chrono::seconds(5);

// Two gateways whose handshake initiations cross in flight drop each other's response, and with
// traffic waiting on both sides each tries again exactly 5 s later, so they cross again, for ever.
// One side then has to start anew at another moment.
inline constexpr Duration kNudgeAfter = std::chrono::milliseconds(1500);

// How long a WireGuard session lives at most (REJECT_AFTER_TIME).
inline constexpr Duration kSessionLife = std::chrono::seconds(180);

// What is seen of a peer now. Any progress since the last look means that its endpoint works.
struct PeerSigns {
  bool usable = false;  // by our probes
  WallTime last_handshake{};
  std::uint64_t rx_bytes = 0;
  bool session = false;  // the last handshake is younger than kSessionLife; without a session
                         // received bytes are only handshakes that lead nowhere
};

struct EndpointPick {
  std::optional<Endpoint> endpoint;  // none: no candidates, the peer must call us
  bool nudge = false;                // now, once a try: no handshake came of this endpoint yet
  friend bool operator==(const EndpointPick&, const EndpointPick&) = default;
};

class EndpointTrials {
 public:
  // `silence`: how long a peer that worked may be silent before another candidate is tried (some
  // keepalive intervals: its gateway may be restarting while its kernel goes on).
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
