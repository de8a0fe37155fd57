#include "homing/election.h"

#include <algorithm>
#include <utility>

namespace cw::homing {

namespace {

// A node asks every 150 ms, in large clusters every 230 ms. A word that is older says nothing of
// now.
constexpr Duration kFresh = std::chrono::seconds(1);
// A node that was not heard for so long is down, or cut off from this gateway for good.
constexpr Duration kLost = std::chrono::seconds(10);
// How long the carrier waits for nodes to hold their packets before it gives its traffic away.
constexpr Duration kHoldPatience = std::chrono::milliseconds(250);
// Two gateways that hear different halves of the cluster would take over from each other again and
// again.
constexpr Duration kFirstPause = std::chrono::seconds(4);
constexpr Duration kLongestPause = std::chrono::seconds(64);

std::uint64_t above(std::uint64_t wished, std::uint64_t held) {
  return std::min(std::max(wished, held + 1), kMaxEpoch);
}

}  // namespace

bool newer(const Claim& a, const Claim& b) {
  if (a.epoch != b.epoch) return a.epoch > b.epoch;
  return a.ordinal < b.ordinal;
}

void Elections::set_electorate(Electorate electorate, TimePoint now) {
  if (!since_) since_ = now;
  electorate_ = std::move(electorate);
  for (auto& [key, election] : elections_) {
    std::erase_if(election.words,
                  [&](const auto& one) { return electorate_.nodes.count(one.first) == 0; });
  }
}

Claim Elections::held(const ClaimKey& key) const {
  const auto at = elections_.find(key);
  return at == elections_.end() ? Claim{} : at->second.held;
}

Elections::Tally Elections::tally(const Election& election, TimePoint now) const {
  Tally tally;
  const auto carrier = electorate_.gateway_nodes.find(election.held.ordinal);
  for (const auto& node : electorate_.nodes) {
    // The carrier may have gone together with its node.
    if (carrier != electorate_.gateway_nodes.end() && carrier->second == node) continue;
    const auto word = election.words.find(node);
    const auto heard = word == election.words.end() ? *since_ : word->second.at;
    if (now - heard >= kLost) {
      ++tally.lost;
    } else if (now - heard >= kFresh) {
      ++tally.unheard;
    }
  }
  for (const auto& [node, word] : election.words) {
    const bool wishes_us = !word.vote.follows && word.vote.claim.ordinal == electorate_.self;
    if (wishes_us && word.vote.objects && now - word.at < kFresh) ++tally.objecting;
  }
  return tally;
}

bool Elections::may_take_over(Election& election, TimePoint now) const {
  const auto [objecting, unheard, lost] = tally(election, now);
  if (objecting <= unheard) return false;
  if (unheard + lost == 0) return true;
  const auto since = election.last_forced ? now - *election.last_forced : kLongestPause;
  if (since < election.pause) return false;
  election.pause =
      since < kLongestPause ? std::min<Duration>(2 * election.pause, kLongestPause) : kFirstPause;
  election.last_forced = now;
  return true;
}

bool Elections::all_wish(const Election& election, std::uint32_t ordinal, bool held,
                         TimePoint now) {
  return std::all_of(election.words.begin(), election.words.end(), [&](const auto& one) {
    const auto& [vote, at] = one.second;
    if (now - at >= kFresh) return true;
    return !vote.follows && vote.claim.ordinal == ordinal && (vote.holds || !held);
  });
}

void Elections::decide(Election& election, const Vote& vote, TimePoint now) const {
  auto& held = election.held;
  const auto wished = vote.claim;
  if (vote.follows || wished.ordinal == held.ordinal) {
    if (held.epoch == 0 || newer(wished, held)) held = wished;
    return;
  }
  if (held.epoch == 0 && !vote.objects) {
    held = wished;  // no node follows any claim
    return;
  }
  if (vote.objects) {
    if (wished.ordinal != electorate_.self || !may_take_over(election, now)) return;
    held = {electorate_.self, above(wished.epoch, held.epoch)};
    return;
  }
  if (held.ordinal != electorate_.self) return;  // only the carrier gives its traffic away
  if (!all_wish(election, wished.ordinal, false, now)) {
    election.prepares.reset();
    return;
  }
  if (!election.prepares) election.prepares = now;
  if (all_wish(election, wished.ordinal, true, now) || now - *election.prepares >= kHoldPatience) {
    held = {wished.ordinal, above(wished.epoch, held.epoch)};
  }
}

Elections::Result Elections::vote(const ClaimKey& key, const std::string& node, const Vote& vote,
                                  TimePoint now) {
  if (electorate_.nodes.count(node) == 0) return {held(key)};
  auto& election = elections_[key];
  const auto before = election.held;
  election.words[node] = {vote, now};
  decide(election, vote, now);
  const bool changed = election.held != before;
  if (changed) election.prepares.reset();
  return {election.held, changed, election.prepares.has_value() && !vote.follows};
}

}  // namespace cw::homing
