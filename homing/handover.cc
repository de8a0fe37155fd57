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
  const auto owner = owner_id(wanted.input.owner.node);
  for (const auto& [choice, chosen] : wanted.choices) {
    const ClaimKey key{choice.cluster, {owner, choice.family}};
    keys.insert(key);
    const auto at = claims_.find(key);
    const bool claimed = at != claims_.end() && at->second.ordinal == chosen.ordinal;
    const auto carrier = carriers_.find(choice);
    if (!chosen.ordinal) {
      finish(choice);
    } else if (carrier == carriers_.end() || carrier->second != *chosen.ordinal || !claimed) {
      change(choice, key, wanted, now);
    } else if (const auto moving = handovers_.find(choice);
               moving != handovers_.end() &&
               !carries(wanted.input.gateways, moving->second.from, choice)) {
      // A carrier that stops working in the middle of a handover cannot confirm any more.
      finish(choice);
    }
  }
  std::erase_if(claims_, [&](const auto& one) { return keys.count(one.first) == 0; });
  std::erase_if(outbid_, [&](const auto& one) { return keys.count(one.first) == 0; });
}

void Handovers::change(const ChoiceKey& choice, const ClaimKey& key, const Wanted& wanted,
                       TimePoint now) {
  const auto to = *wanted.choices.at(choice).ordinal;
  const auto before = carriers_.find(choice);
  const auto old = before == carriers_.end() ? std::nullopt : std::optional(before->second);
  auto& claim = claims_[key];
  claim = {to, next_epoch(claim.epoch)};
  carriers_[choice] = to;
  handovers_.erase(choice);
  // To the gateway on this very node packets do not go over the VXLAN, so none can be held.
  if (!old || *old == to || wanted.self == to || !carries(wanted.input.gateways, *old, choice)) {
    urgent_.insert(gateways_.begin(), gateways_.end());
    return;
  }
  handovers_[choice] = {*old, now + patience_, key};
  urgent_.insert(*old);
}

bool Handovers::withheld_from(std::uint32_t to, const ClaimKey& key) const {
  return std::any_of(handovers_.begin(), handovers_.end(), [&](const auto& one) {
    return one.second.key == key && one.second.from != to;
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

// `theirs` is ours of before a restart.
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
  std::vector<ChoiceKey> done;
  for (const auto& entry : claims_of(reply)) {
    const auto mine = claims_.find(entry.key);
    if (mine == claims_.end()) continue;
    if (entry.claim != mine->second) {
      if (entry.claim.epoch >= mine->second.epoch) outbid(entry.key, entry.claim, now);
      continue;
    }
    sender_.heard(name_of(from), entry.key, entry.claim);
    if (!entry.settled) continue;
    for (const auto& [choice, handover] : handovers_) {
      if (handover.from == from && handover.key == entry.key) done.push_back(choice);
    }
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
