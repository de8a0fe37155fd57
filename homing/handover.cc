#include "homing/handover.h"

#include <algorithm>
#include <utility>

namespace cw::homing {

namespace {

// A remote side that goes on claiming more costs one round of requests in so long, and no storm.
constexpr Duration kBetweenBids = std::chrono::milliseconds(100);

// No count wraps. One that is full begins again: gateways take the newest word of this node
// whatever its epoch (docs/protocol/homing.md, "Claims").
std::uint64_t next_epoch(std::uint64_t epoch) { return epoch >= kMaxEpoch ? 1 : epoch + 1; }

std::string name_of(std::uint32_t ordinal) { return std::to_string(ordinal); }

}  // namespace

void Handovers::claim(const ChoiceKey& choice, std::uint32_t ordinal,
                      const std::vector<Prefix>& prefixes) {
  for (const auto& prefix : prefixes) {
    auto& claim = claims_[{choice.cluster, prefix}];
    claim = {ordinal, next_epoch(claim.epoch)};
  }
}

void Handovers::finish(const ChoiceKey& choice) {
  if (handovers_.erase(choice) != 0) urgent_.insert(gateways_.begin(), gateways_.end());
}

void Handovers::want(const Wanted& wanted, TimePoint now) {
  gateways_.clear();
  std::set<std::string> names;
  for (const auto& gateway : wanted.input.gateways) {
    gateways_.insert(gateway.ordinal);
    names.insert(name_of(gateway.ordinal));
  }
  sender_.keep_only(names);
  std::erase_if(carriers_, [&](const auto& one) { return wanted.choices.count(one.first) == 0; });
  std::erase_if(handovers_, [&](const auto& one) { return wanted.choices.count(one.first) == 0; });
  std::set<ClaimKey> keys;
  for (const auto& [choice, chosen] : wanted.choices) {
    const auto prefixes = wanted.prefixes.find(choice.family);
    if (prefixes == wanted.prefixes.end()) continue;
    for (const auto& prefix : prefixes->second) keys.insert({choice.cluster, prefix});
    if (!chosen.ordinal) {
      finish(choice);
      continue;
    }
    const auto before = carriers_.find(choice);
    const auto old = before == carriers_.end() ? std::nullopt : std::optional(before->second);
    const bool complete =
        std::all_of(prefixes->second.begin(), prefixes->second.end(),
                    [this, &cluster = choice.cluster, to = *chosen.ordinal](const Prefix& prefix) {
                      const auto at = claims_.find({cluster, prefix});
                      return at != claims_.end() && at->second.ordinal == to;
                    });
    if (old == chosen.ordinal && complete) {
      // A carrier that stops working in the middle of a handover cannot confirm any more.
      const auto moving = handovers_.find(choice);
      if (moving != handovers_.end() &&
          !carries(wanted.input.gateways, moving->second.from, choice)) {
        finish(choice);
      }
      continue;
    }
    claim(choice, *chosen.ordinal, prefixes->second);
    carriers_[choice] = *chosen.ordinal;
    // To the gateway on this very node packets do not go over the VXLAN, so none can be held.
    const bool can_hold = old && *old != *chosen.ordinal && wanted.self != chosen.ordinal &&
                          carries(wanted.input.gateways, *old, choice);
    handovers_.erase(choice);
    if (!can_hold) {
      urgent_.insert(gateways_.begin(), gateways_.end());
      continue;
    }
    auto& handover = handovers_[choice];
    handover.from = *old;
    handover.until = now + patience_;
    for (const auto& prefix : prefixes->second) handover.open.insert({choice.cluster, prefix});
    urgent_.insert(*old);
  }
  std::erase_if(claims_, [&](const auto& one) { return keys.count(one.first) == 0; });
  std::erase_if(outbid_, [&](const auto& one) { return keys.count(one.first) == 0; });
}

bool Handovers::withheld_from(std::uint32_t to, const ClaimKey& key) const {
  return std::any_of(handovers_.begin(), handovers_.end(), [&](const auto& one) {
    return one.second.open.count(key) != 0 && one.second.from != to;
  });
}

void Handovers::fill(std::uint32_t to, tunnel::Probe& request) {
  Claims tellable;
  for (const auto& [key, claim] : claims_) {
    if (!withheld_from(to, key)) tellable.emplace_hint(tellable.end(), key, claim);
  }
  std::vector<ProbeClaim> claims;
  for (const auto& key : sender_.pick(name_of(to), tellable, kMaxClaims)) {
    claims.push_back({key, tellable.at(key), false});
  }
  put_claims(claims, request);
}

// `theirs` is ours of before a restart, or of a node that had our prefix.
void Handovers::outbid(const ClaimKey& key, const Claim& theirs, TimePoint now) {
  // Nothing can be above a full count, and no honest one is full.
  if (theirs.epoch >= kMaxEpoch) return;
  const auto [last, first] = outbid_.emplace(key, now);
  if (!first && now - last->second < kBetweenBids) return;
  last->second = now;
  auto& mine = claims_.at(key);
  mine.epoch = theirs.ordinal == mine.ordinal ? theirs.epoch : theirs.epoch + 1;
  urgent_.insert(gateways_.begin(), gateways_.end());
}

void Handovers::forget(std::uint32_t from) { sender_.forget(name_of(from)); }

void Handovers::hear(std::uint32_t from, const tunnel::Probe& reply, TimePoint now) {
  for (const auto& entry : claims_of(reply)) {
    const auto mine = claims_.find(entry.key);
    if (mine == claims_.end()) continue;
    if (entry.claim != mine->second) {
      if (entry.claim.epoch >= mine->second.epoch) outbid(entry.key, entry.claim, now);
      continue;
    }
    sender_.heard(name_of(from), entry.key, entry.claim);
    if (!entry.settled) continue;
    for (auto& [choice, handover] : handovers_) {
      if (handover.from == from) handover.open.erase(entry.key);
    }
  }
  std::vector<ChoiceKey> done;
  for (const auto& [choice, handover] : handovers_) {
    if (handover.open.empty()) done.push_back(choice);
  }
  for (const auto& choice : done) finish(choice);
}

void Handovers::tick(TimePoint now) {
  std::vector<ChoiceKey> late;
  for (const auto& [choice, handover] : handovers_) {
    if (now >= handover.until) late.push_back(choice);
  }
  for (const auto& choice : late) {
    ++unconfirmed_;
    finish(choice);
  }
}

std::set<ChoiceKey> Handovers::held() const {
  std::set<ChoiceKey> keys;
  for (const auto& [choice, handover] : handovers_) keys.insert(choice);
  return keys;
}

std::set<std::uint32_t> Handovers::handed_over_from() const {
  std::set<std::uint32_t> ordinals;
  for (const auto& [choice, handover] : handovers_) ordinals.insert(handover.from);
  return ordinals;
}

std::set<std::uint32_t> Handovers::take_urgent() { return std::exchange(urgent_, {}); }

}  // namespace cw::homing
