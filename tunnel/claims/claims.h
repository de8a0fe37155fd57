// Who carries a prefix, by the word of the node that has it: "my traffic to that cluster goes
// through local gateway N". Local gateways pass it on inside the tunnels, so that remote gateways
// accept and return exactly there, whatever their own probes make of it. A claim with a higher
// epoch replaces one with a lower; claims travel in probes (docs/protocol/probe.md) and need no
// acknowledgement of their own: whoever answers a probe echoes what he holds. Pure.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/prefix.h"

namespace cw::tunnel {

struct ClaimKey {
  std::string cluster;  // remote to the claiming node
  Prefix prefix;        // the node's
  friend auto operator<=>(const ClaimKey&, const ClaimKey&) = default;
};

struct Claim {
  std::uint32_t ordinal = 0;  // of the gateway in the node's own cluster
  std::uint64_t epoch = 0;
  friend bool operator==(const Claim&, const Claim&) = default;
};

using Claims = std::map<ClaimKey, Claim>;

// Takes `claim` if it is newer than what is held; whether it was.
bool take_claim(Claims& held, const ClaimKey& key, const Claim& claim);

// What to tell whom: to each target first what it is not known to hold, then the rest in turns, so
// that one who forgot everything (a restart) knows all again after a few probes.
class ClaimSender {
 public:
  // At most `limit` of `claims` for the next probe to `target`. `version`: another one whenever
  // `claims` changed, so that thousands that everybody holds are not looked through each time; 0:
  // they may have changed.
  [[nodiscard]] std::vector<ClaimKey> pick(const std::string& target, const Claims& claims,
                                           std::size_t limit, std::uint64_t version = 0);
  // `target` answered that it holds `claim`.
  void heard(const std::string& target, const ClaimKey& key, const Claim& claim);
  [[nodiscard]] bool holds(const std::string& target, const ClaimKey& key,
                           const Claim& claim) const;
  // Targets not named are forgotten.
  void keep_only(const std::set<std::string>& targets);

 private:
  struct Target {
    Claims held;
    ClaimKey last;                 // where the turns are
    std::uint64_t no_news_of = 0;  // the version of which it holds everything
  };
  std::map<std::string, Target> targets_;
};

}  // namespace cw::tunnel
