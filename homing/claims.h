// Claims: which gateway carries a node's prefixes, as the node says it: "my traffic to that cluster
// goes through local gateway N". Local gateways pass the claim on inside the tunnels. Remote
// gateways then accept and return the packets of all prefixes of the node through that gateway,
// whatever their own probes say. A claim names the owner and no prefix: which prefixes it has, the
// feed says. The newest claim of each speaker counts. If several gateways speak of one owner, the
// claim with the highest epoch counts (docs/protocol/homing.md, "Claims"). Claims travel in
// probes and need no acknowledgement of their own: the reply to a probe echoes the claims that its
// sender holds. Pure.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/loop.h"
#include "homing/owner.h"

namespace cw::homing {

struct ClaimKey {
  std::string cluster;  // the remote cluster, as the claiming node sees it
  Share share;          // the claiming node's
  friend auto operator<=>(const ClaimKey&, const ClaimKey&) = default;
};

struct Claim {
  std::uint32_t ordinal = 0;  // of the gateway in the node's own cluster
  std::uint64_t epoch = 0;
  friend bool operator==(const Claim&, const Claim&) = default;
};

using Claims = std::map<ClaimKey, Claim>;

// The largest valid epoch. A node counts its own switches from 1 on, so a higher epoch cannot be
// honest. Receivers refuse it, so no node can use up the numbers and no count wraps.
inline constexpr std::uint64_t kMaxEpoch = 1ULL << 32U;

// The claims that several gateways of one cluster make for one of its owners: the last of each
// speaker. A word is one speaker's claim.
class Words {
 public:
  // Gateways repeat their claims within seconds. A word that was not repeated for this long is old,
  // and any word that is not old outweighs it: its speaker is gone, has restarted or no longer
  // claims it.
  static constexpr Duration kLife = std::chrono::minutes(1);

  // Replaces the speaker's earlier claim, whatever its epoch. `old`: the speaker itself has not
  // heard the claim from the node for kLife.
  void say(std::uint32_t speaker, const Claim& claim, TimePoint now, bool old = false);
  // The claim with the highest epoch; of equal ones, that of the lowest speaker. Old words count
  // only if there is no other. Returns an empty claim if no speaker has said one.
  [[nodiscard]] Claim held(TimePoint now) const;
  // Forgets the words of all speakers for which `stays` is false. Returns whether any word is left.
  template <typename Stays>
  bool keep(const Stays& stays) {
    std::erase_if(words_, [&](const Word& word) { return !stays(word.speaker); });
    return !words_.empty();
  }

 private:
  struct Word {
    std::uint32_t speaker = 0;
    Claim claim;
    TimePoint said{};
  };
  std::vector<Word> words_;  // sorted by speaker; there are few
};

// Which claims go into the next probe to each target. First come the claims that the target is not
// known to hold, then the rest in turns. So a target that restarted knows all claims after a few
// probes.
class ClaimSender {
 public:
  // Chooses at most `limit` of `claims` for the next probe to `target`.
  [[nodiscard]] std::vector<ClaimKey> pick(const std::string& target, const Claims& claims,
                                           std::size_t limit);
  // Records the answer of `target` that it holds `claim`.
  void heard(const std::string& target, const ClaimKey& key, const Claim& claim);
  [[nodiscard]] bool holds(const std::string& target, const ClaimKey& key,
                           const Claim& claim) const;
  // Records that `target` has lost all claims.
  void forget(const std::string& target) { targets_.erase(target); }
  // Forgets all targets that are not named.
  void keep_only(const std::set<std::string>& targets);

 private:
  struct Target {
    std::map<ClaimKey, Claim> answers;  // the claims of ours that it holds
    ClaimKey last;                      // the last one of the turns
  };
  std::map<std::string, Target> targets_;
};

}  // namespace cw::homing
