#include "tunnel/probe/askers.h"

#include <algorithm>
#include <cstring>
#include <span>

namespace cw::tunnel {

// Ids are hashes already. Only ids of our own set are stored, so a stranger cannot cause
// collisions.
std::size_t Askers::First8::operator()(const PartyId& id) const {
  std::size_t hash = 0;
  std::memcpy(&hash, id.data(), sizeof hash);
  return hash;
}

Askers::Askers(const Key& own_private, Random& random) : own_private_(own_private) {
  random.fill(std::as_writable_bytes(std::span(secret_)));
}

void Askers::set(const std::map<ProbeParty, Key>& wanted) {
  if (wanted == wanted_) return;
  wanted_ = wanted;
  std::unordered_map<PartyId, Asker, First8> next;
  for (const auto& [id, asker] : askers_) {
    sessions_ = std::max(sessions_, asker.freshness.sessions() + 1);
  }
  for (const auto& [party, public_key] : wanted) {
    const auto id = party_id(public_key, party);
    const auto known = askers_.find(id);
    if (known == askers_.end()) {
      next.emplace(id, Asker{party, public_key, {}, false, Freshness(sessions_)});
    } else {
      next.emplace(id, std::move(known->second));
    }
  }
  askers_ = std::move(next);
}

Askers::Asker* Askers::find(const PartyId& id) {
  const auto found = askers_.find(id);
  if (found == askers_.end()) return nullptr;
  auto& asker = found->second;
  if (!asker.key && !asker.useless) {
    const auto key = pair_key(own_private_, asker.public_key, kProbeLabel);
    if (key) {
      asker.key = *key;
    } else {
      asker.useless = true;
    }
  }
  return asker.useless ? nullptr : &asker;
}

}  // namespace cw::tunnel
