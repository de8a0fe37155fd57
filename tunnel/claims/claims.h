// Who carries a prefix, by the word of the node that has it: "my traffic to that cluster goes
// through local gateway N". Local gateways pass it on inside the tunnels, so that remote gateways
// accept and return exactly there, whatever their own probes make of it. The newest word of each
// speaker counts; where several speak of one prefix the highest epoch does (docs/protocol/
// homing.md, "Claims"). Claims travel in probes and need no acknowledgement of their own: the
// answer to a probe echoes what the answerer holds. Pure.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/loop.h"
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

// No epoch is higher: a node counts its own switches, from 1 on. What is higher is no honest word
// and is refused, so no node can take all the room and no count wraps.
inline constexpr std::uint64_t kMaxEpoch = 1ULL << 32U;

// What several gateways of a cluster say of one prefix of theirs: the last word of each.
class Words {
 public:
  // Gateways repeat their words within seconds. One that was not repeated for so long is old and
  // does not outweigh one that was: its speaker is gone, started again or does not say it any more.
  static constexpr Duration kLife = std::chrono::minutes(1);

  // `claim` replaces what `speaker` said before, whatever its epoch. `old`: the speaker has not
  // heard it from the node for so long.
  void say(std::uint32_t speaker, const Claim& claim, TimePoint now, bool old = false);
  // The word with the highest epoch (equal ones: of the lowest speaker); of those that are not old,
  // if there is one. There is a word once a speaker said one.
  [[nodiscard]] Claim held(TimePoint now) const;
  // Forgets all words of speakers that `stays` denies; whether any word is left.
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
  std::vector<Word> words_;  // by speaker; there are few
};

// What to tell whom: to each target first what it is not known to hold, then the rest in turns, so
// that one who forgot everything (a restart) knows all again after a few probes.
class ClaimSender {
 public:
  // At most `limit` of `claims` for the next probe to `target`.
  [[nodiscard]] std::vector<ClaimKey> pick(const std::string& target, const Claims& claims,
                                           std::size_t limit);
  // `target` answered that it holds `claim`.
  void heard(const std::string& target, const ClaimKey& key, const Claim& claim);
  [[nodiscard]] bool holds(const std::string& target, const ClaimKey& key,
                           const Claim& claim) const;
  // `target` is known to have forgotten everything.
  void forget(const std::string& target) { targets_.erase(target); }
  // Targets not named are forgotten.
  void keep_only(const std::set<std::string>& targets);

 private:
  struct Target {
    std::map<ClaimKey, Claim> answers;  // what it holds of ours
    ClaimKey last;                      // where the turns are
  };
  std::map<std::string, Target> targets_;
};

}  // namespace cw::tunnel
