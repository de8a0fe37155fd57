#include "homing/following.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "homing/election.h"

namespace cw::homing {

namespace {

// All nodes outbid together, and where a cluster is cut into halves both outbid each other. So each
// bid soon after the last one waits for twice as long.
constexpr Duration kFirstBidPause = std::chrono::seconds(1);
constexpr Duration kLongestBidPause = std::chrono::seconds(64);
// How long the carrier is asked often after a new wish.
constexpr Duration kNew = std::chrono::seconds(1);

std::string target_name(std::uint32_t ordinal) { return std::to_string(ordinal); }

ClaimKey whole_key(const ChoiceKey& choice) { return {choice.cluster, {OwnerId{}, choice.family}}; }

}  // namespace

void Following::want(const Wanted& wanted, TimePoint now) {
  gateways_.clear();
  std::set<std::string> names;
  for (const auto& gateway : wanted.input.gateways) {
    gateways_.insert(gateway.ordinal);
    names.insert(target_name(gateway.ordinal));
  }
  sender_.keep_only(names);
  std::erase_if(states_, [&](const auto& one) { return wanted.choices.count(one.first) == 0; });
  for (const auto& [choice, chosen] : wanted.choices) {
    auto& state = states_[choice];
    const auto before = std::pair(state.wish, state.objects);
    state.wish = chosen.ordinal;
    state.own = chosen.ordinal && chosen.ordinal == wanted.self;
    state.objects = state.followed.epoch != 0 && state.differs() &&
                    !carries(wanted.input.gateways, state.followed.ordinal, choice);
    if (state.hold && state.objects) state.hold.reset();  // a carrier that fails cannot confirm
    if (!state.differs()) state.new_since.reset();
    if (std::pair(state.wish, state.objects) == before || !state.differs()) continue;
    if (state.followed.epoch == 0 || state.objects) {
      state.new_since.reset();
      tell_all();
    } else {
      state.new_since = now;
      urgent_.insert(state.followed.ordinal);
    }
  }
}

// Only the carrier hears of a wish that is no objection. The others would tell remote gateways too
// early.
ProbeClaim Following::word(std::uint32_t to, const ClaimKey& key, const State& state) const {
  ProbeClaim said{key, state.followed};
  const bool planned = state.followed.epoch != 0 && !state.objects;
  if (!state.differs() || (planned && to != state.followed.ordinal)) {
    said.word = true;
    return said;
  }
  const auto least = std::max(state.followed.epoch + 1, state.least + 1);
  said.claim = {*state.wish, std::min(least, kMaxEpoch)};
  said.objects = state.objects;
  said.hold = state.hold.has_value();
  return said;
}

void Following::fill(std::uint32_t to, tunnel::Probe& request) {
  Claims claims;
  std::map<ClaimKey, ProbeClaim> words;
  for (const auto& [choice, state] : states_) {
    if (state.followed.epoch == 0 && !state.wish) continue;
    // The new carrier would tell remote gateways past the last packets of the old one.
    if (state.hold && to != state.hold->from) continue;
    const auto key = whole_key(choice);
    const auto said = words.emplace(key, word(to, key, state)).first;
    claims.emplace(key, said->second.claim);
  }
  std::vector<ProbeClaim> picked;
  for (const auto& key : sender_.pick(target_name(to), claims, kMaxClaims)) {
    picked.push_back(words.at(key));
  }
  put_claims(picked, request);
}

// A remote gateway holds a higher claim of this cluster than any that our gateways elected: one of
// before a restart.
void Following::outbid(const Claim& theirs, State& state, TimePoint now) {
  if (theirs.epoch >= kMaxEpoch) return;  // no honest one is full
  const auto since = state.last_bid ? now - *state.last_bid : kLongestBidPause;
  if (since < state.bid_pause) return;
  state.bid_pause = since < 4 * state.bid_pause
                        ? std::min<Duration>(2 * state.bid_pause, kLongestBidPause)
                        : kFirstBidPause;
  state.last_bid = now;
  if (state.followed.epoch == 0) {
    state.least = std::max(state.least, theirs.epoch);
  } else {
    const bool same = theirs.ordinal == state.followed.ordinal;
    state.followed.epoch = std::max(state.followed.epoch, same ? theirs.epoch : theirs.epoch + 1);
  }
  tell_all();
}

void Following::take(std::uint32_t from, const ProbeClaim& entry, State& state, TimePoint now) {
  if (!entry.word) {
    const bool above = entry.claim.epoch > state.followed.epoch ||
                       (entry.claim.epoch == state.followed.epoch && entry.claim != state.followed);
    if (above) outbid(entry.claim, state, now);
    return;
  }
  if (entry.claim.epoch != 0 && (state.followed.epoch == 0 || newer(entry.claim, state.followed))) {
    const bool planned = state.hold && state.hold->from == from;
    state.followed = entry.claim;
    if (!planned) {
      state.hold.reset();
      tell_all();
    }
  }
  if (state.hold && state.hold->from == from && entry.claim == state.followed && entry.settled &&
      state.followed.ordinal != from) {
    state.hold.reset();
    tell_all();
  }
  if (entry.hold && !state.hold && state.differs() && !state.objects &&
      from == state.followed.ordinal) {
    state.hold = Hold{from, now + patience_, !state.own};
    urgent_.insert(from);
  }
}

void Following::hear(std::uint32_t from, const tunnel::Probe& reply, TimePoint now) {
  for (const auto& entry : claims_of(reply)) {
    const auto at = states_.find({entry.key.cluster, entry.key.share.family});
    if (at == states_.end() || entry.key.share.owner != OwnerId{}) continue;
    if (entry.word) sender_.heard(target_name(from), entry.key, entry.claim);
    take(from, entry, at->second, now);
  }
}

void Following::forget(std::uint32_t from) { sender_.forget(target_name(from)); }

void Following::tick(TimePoint now) {
  for (auto& [choice, state] : states_) {
    if (!state.hold || now < state.hold->until) continue;
    ++unconfirmed_;
    state.hold.reset();
    tell_all();
  }
  for (auto& [choice, state] : states_) {
    if (state.new_since && now - *state.new_since >= kNew) state.new_since.reset();
  }
}

std::map<ChoiceKey, Choice> Following::carriers(const std::map<ChoiceKey, Choice>& choices,
                                                WallTime wall) {
  std::map<ChoiceKey, Choice> all;
  for (const auto& [key, chosen] : choices) {
    auto carrier = chosen;
    const auto at = states_.find(key);
    // If no gateway reaches the cluster, the routes are unreachable whatever is followed.
    if (chosen.ordinal && at != states_.end() && at->second.followed.epoch != 0) {
      const auto& state = at->second;
      carrier.ordinal = state.followed.ordinal;
      if (carrier.ordinal != chosen.ordinal) {
        carrier.reason = fmt::format("the cluster's carrier; this node would choose gateway {}: {}",
                                     *chosen.ordinal, chosen.reason);
      }
    }
    const auto shown = shown_.find(key);
    const bool same = shown != shown_.end() && shown->second == carrier.ordinal;
    if (!same) since_[key] = wall;
    carrier.since = since_.at(key);
    shown_[key] = carrier.ordinal;
    all.emplace(key, std::move(carrier));
  }
  std::erase_if(since_, [&](const auto& one) { return all.count(one.first) == 0; });
  std::erase_if(shown_, [&](const auto& one) { return all.count(one.first) == 0; });
  return all;
}

std::set<ChoiceKey> Following::held() const {
  std::set<ChoiceKey> keys;
  for (const auto& [choice, state] : states_) {
    if (state.hold && state.hold->real) keys.insert(choice);
  }
  return keys;
}

std::set<std::uint32_t> Following::handed_over_from() const {
  std::set<std::uint32_t> ordinals;
  for (const auto& [choice, state] : states_) {
    if (state.hold) ordinals.insert(state.hold->from);
    if (!state.hold && state.new_since) ordinals.insert(state.followed.ordinal);
  }
  return ordinals;
}

std::set<std::uint32_t> Following::take_urgent() { return std::exchange(urgent_, {}); }

}  // namespace cw::homing
