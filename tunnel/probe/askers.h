// Who may ask a prober, by party id: the key of each, and which of its requests are fresh. The keys
// are computed when an asker asks for the first time, so that a thousand nodes cost nothing at
// once, and are kept. Loop thread only.
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
    std::string name;
    Key public_key;
    std::optional<ProbeKey> key;
    bool useless = false;  // there is no key with that public key
    Freshness freshness;
  };

  Askers(const Key& own_private, Random& random);

  // The whole set, public keys by name. Those who stay keep what is known of them.
  void set(const std::map<std::string, Key>& wanted);
  // Null: no asker of the set.
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
  // An asker that comes back goes on above all its earlier sessions: no challenge comes twice.
  std::uint64_t sessions_ = 0;
  std::map<std::string, Key> wanted_;
  std::unordered_map<PartyId, Asker, First8> askers_;
};

}  // namespace cw::tunnel
