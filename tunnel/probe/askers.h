// The parties whose requests a prober answers, by party id: the key of each, and which of its
// requests are fresh. The key is computed at the party's first request and kept, so a thousand new
// nodes do not cost a thousand computations at once. Loop thread only.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/random.h"
#include "tunnel/probe/freshness.h"

namespace cw::tunnel {

class Askers {
 public:
  struct Asker {
    ProbeParty party;
    Key public_key;
    std::optional<ProbeKey> key;
    bool useless = false;  // no key can be computed with that public key
    Freshness freshness;
  };

  Askers(const Key& own_private, Random& random);

  // Sets the whole set with the public keys. Askers that stay keep their state.
  void set(const std::map<ProbeParty, Key>& wanted);
  // Null if the party is not in the set, or has no usable key.
  [[nodiscard]] Asker* find(const PartyId& id);
  [[nodiscard]] Freshness::Verdict judge(Asker& asker, const Probe& request) const {
    return asker.freshness.take(secret_, request);
  }

 private:
  struct First8 {
    std::size_t operator()(const PartyId& id) const;
  };
  Key own_private_;
  FreshnessSecret secret_{};
  // A removed asker that comes back starts above all earlier counts, so no challenge comes twice.
  std::uint64_t sessions_ = 0;
  std::map<ProbeParty, Key> wanted_;
  std::unordered_map<PartyId, Asker, First8> askers_;
};

}  // namespace cw::tunnel
