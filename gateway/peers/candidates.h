// The endpoints at which a remote gateway is tried (endpoint_trials.h), in this order: those that
// the administrator paired, those that the gateway announces, and those at which other gateways see
// it. Every address of a DNS name counts. Addresses that can be no remote gateway's are left out.
// Pure.
#pragma once

#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "api/types/cluster_peer.h"
#include "base/never_a_peers.h"
#include "gateway/feed/remote_state.h"
#include "gateway/peers/name_book.h"
#include "gateway/peers/sightings.h"

namespace cw::gateway {

inline constexpr std::size_t kMaxCandidates = 32;     // of one gateway
inline constexpr std::size_t kMaxAnnouncedNames = 4;  // of one gateway; each costs lookups

using AcceptedClusters = std::map<std::string, AcceptedCluster>;

// What is known beside the ClusterPeers and the announcements.
struct CandidateSources {
  const NameBook* names = nullptr;
  const Sightings* sightings = nullptr;
  std::span<const OwnPrefixes> own = {};  // networks of this cluster
  PrefixSet remote = {};                  // accepted CIDRs of all clusters: reached by tunnels only
};

// A gateway as the administrator paired it and as it announced itself (null: it did not).
struct Described {
  const std::string& cluster;
  const api::PeerGateway& paired;
  const api::LearnedGateway* announced = nullptr;
};

struct Candidates {
  std::vector<Endpoint> endpoints;
  // Why a DNS name that the administrator wrote brings no candidate: a sentence. Empty: none.
  std::string trouble;
};
[[nodiscard]] Candidates candidates_of(const Described& gateway, const CandidateSources& sources);

// The endpoints that count, as they are written. A gateway that was paired without endpoints cannot
// be reached from outside. The endpoints that it announces are addresses of its own site.
[[nodiscard]] std::vector<Contact> contacts_of(const Described& gateway);

// The DNS names among the endpoints of all remote gateways. True: a gateway with that name is not
// in `working`.
[[nodiscard]] std::map<NameOf, bool> wanted_names(const RemoteState::Peers& peers,
                                                  const AcceptedClusters& accepted,
                                                  const std::set<GatewayId>& working);

// The announcement of the gateway with that ordinal, or null.
[[nodiscard]] const api::LearnedGateway* announced_gateway(const AcceptedClusters& accepted,
                                                           const std::string& cluster,
                                                           std::uint32_t ordinal);

}  // namespace cw::gateway
