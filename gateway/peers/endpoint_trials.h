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

// What is seen of a peer now. Any progress since the last look means that its endpoint works.
struct PeerSigns {
  bool usable = false;  // by our probes
  WallTime last_handshake{};
  std::uint64_t rx_bytes = 0;
};

class EndpointTrials {
 public:
  // `silence`: how long a peer that worked may be silent before another candidate is tried (some
  // keepalive intervals: its gateway may be restarting while its kernel goes on).
  explicit EndpointTrials(Duration silence) : silence_(silence) {}

  // None: no candidates, the peer must call us.
  std::optional<Endpoint> pick(const GatewayId& id, const std::vector<Endpoint>& candidates,
                               const PeerSigns& signs, TimePoint now);
  void keep_only(const std::set<GatewayId>& ids);

 private:
  struct Trial {
    Endpoint endpoint;
    TimePoint since{};
    bool proven = false;
    PeerSigns signs;
  };
  Duration silence_;
  std::map<GatewayId, Trial> trials_;
};

}  // namespace cw::gateway
