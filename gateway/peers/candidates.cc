#include "gateway/peers/candidates.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace cw::gateway {
namespace {

// Collects endpoints without doubles, up to the limit.
class Collection {
 public:
  explicit Collection(const CandidateSources& sources) : sources_(sources) {}

  void add(const Endpoint& endpoint) {
    if (all_.size() == kMaxCandidates) return;
    if (std::find(all_.begin(), all_.end(), endpoint) == all_.end()) all_.push_back(endpoint);
  }
  // The same for an endpoint that was not judged before. Returns why it can be no remote gateway's,
  // or no value.
  std::optional<std::string> judge(const Endpoint& endpoint) {
    if (auto why = never_an_endpoint(endpoint.address, sources_.own)) return why;
    if (const auto pods = sources_.remote.covering(endpoint.address)) {
      return fmt::format("is in {}, which is reached through tunnels only", pods->to_string());
    }
    add(endpoint);
    return std::nullopt;
  }
  [[nodiscard]] std::vector<Endpoint> take() { return std::move(all_); }

 private:
  const CandidateSources& sources_;
  std::vector<Endpoint> all_;
};

// Adds every address of a name. Returns why there is none that can be used.
std::string add_name(const Contact& contact, const std::string& cluster,
                     const CandidateSources& sources, Collection& all) {
  const NameOf name{cluster, contact.name()};
  std::string why = sources.names->trouble(name);
  for (const auto& address : sources.names->addresses(name)) {
    if (const auto bad = all.judge({address, contact.port()})) {
      why = fmt::format("has the address {}, which {}", address.to_string(), *bad);
    }
  }
  return why;
}

}  // namespace

std::vector<Contact> contacts_of(const Described& gateway) {
  auto all = gateway.paired.endpoints;
  if (gateway.announced == nullptr || all.empty()) return all;
  std::size_t names = 0;
  for (const auto& contact : gateway.announced->gateway.endpoints) {
    if (std::find(all.begin(), all.end(), contact) != all.end()) continue;
    if (!contact.name().empty() && ++names > kMaxAnnouncedNames) continue;
    all.push_back(contact);
  }
  return all;
}

Candidates candidates_of(const Described& gateway, const CandidateSources& sources) {
  Candidates found;
  Collection all(sources);
  const auto& paired = gateway.paired;
  for (const auto& contact : contacts_of(gateway)) {
    if (const auto* endpoint = contact.endpoint()) {
      all.add(*endpoint);  // `pair`, the CRD and admission judged it
      continue;
    }
    if (sources.names == nullptr) continue;
    const auto why = add_name(contact, gateway.cluster, sources, all);
    const bool by_hand = std::find(paired.endpoints.begin(), paired.endpoints.end(), contact) !=
                         paired.endpoints.end();
    if (why.empty() || !by_hand || !found.trouble.empty()) continue;
    found.trouble = fmt::format(
        "gateway {}: the endpoint {} cannot be used: the name {}. The gateways look it up again "
        "every minute. Check the name, and the name servers of the gateway's node",
        paired.ordinal, contact.to_string(), why);
  }
  if (const auto key = tunnel::Key::from_base64(paired.public_key);
      key && sources.sightings != nullptr) {
    for (const auto& at : sources.sightings->of(sighting_id(*key)))
      (void)all.judge(at);  // a sighting is only a hint
  }
  found.endpoints = all.take();
  return found;
}

std::map<NameOf, bool> wanted_names(const RemoteState::Peers& peers,
                                    const AcceptedClusters& accepted,
                                    const std::set<GatewayId>& working) {
  std::map<NameOf, bool> wanted;
  for (const auto& [key, peer] : peers) {
    const auto& cluster = peer->spec.cluster_id;
    for (const auto& paired : peer->spec.gateways) {
      const bool failing = working.count({cluster, paired.ordinal}) == 0;
      const Described gateway{cluster, paired,
                              announced_gateway(accepted, cluster, paired.ordinal)};
      for (const auto& contact : contacts_of(gateway)) {
        if (contact.name().empty()) continue;
        auto& any_fails = wanted[{cluster, contact.name()}];
        any_fails = any_fails || failing;
      }
    }
  }
  return wanted;
}

const api::LearnedGateway* announced_gateway(const AcceptedClusters& accepted,
                                             const std::string& cluster, std::uint32_t ordinal) {
  const auto found = accepted.find(cluster);
  if (found == accepted.end()) return nullptr;
  const auto& gateways = found->second.gateways;
  const auto at = std::find_if(gateways.begin(), gateways.end(), [ordinal](const auto& gateway) {
    return gateway.gateway.ordinal == ordinal;
  });
  return at == gateways.end() ? nullptr : &*at;
}

}  // namespace cw::gateway
