#include "cli/refresh.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "base/prefix_set.h"
#include "cli/output/units.h"
#include "tunnel/fingerprint.h"
#include "tunnel/key.h"

namespace cw::cli {

namespace {

// The oldest ClusterPeer of the cluster: gateways use that one. Null: there is none.
const api::ClusterPeer* stored_peer(const OwnCluster& own, const std::string& cluster) {
  const api::ClusterPeer* oldest = nullptr;
  for (const auto& peer : own.peers) {
    if (peer.spec.cluster_id != cluster) continue;
    if (oldest == nullptr || peer.meta.created < oldest->meta.created) oldest = &peer;
  }
  return oldest;
}

const api::PeerGateway* gateway_of(const api::ClusterPeer::Spec& spec, std::uint32_t ordinal) {
  for (const auto& gateway : spec.gateways) {
    if (gateway.ordinal == ordinal) return &gateway;
  }
  return nullptr;
}

bool has_endpoints(const api::PeerGateway& gateway) {
  return !gateway.endpoints.empty() || !gateway.unusable_endpoints.empty();
}

std::string fingerprint_text(const std::string& public_key) {
  const auto key = tunnel::Key::from_base64(public_key);
  return key ? tunnel::fingerprint(*key) : "(unreadable)";
}

std::string endpoints_text(const api::PeerGateway& gateway) {
  auto texts = texts_of(gateway.endpoints);
  texts.insert(texts.end(), gateway.unusable_endpoints.begin(), gateway.unusable_endpoints.end());
  return texts.empty() ? "none" : fmt::format("{}", fmt::join(texts, ", "));
}

void keep_endpoints_of(const api::ClusterPeer::Spec& known, api::ClusterPeer::Spec& wanted,
                       bool all) {
  const bool none = std::none_of(known.gateways.begin(), known.gateways.end(), has_endpoints);
  for (auto& gateway : wanted.gateways) {
    const auto* before = gateway_of(known, gateway.ordinal);
    if (before == nullptr ? !none : has_endpoints(*before) && !all) continue;
    gateway.endpoints = before == nullptr ? std::vector<Contact>{} : before->endpoints;
    gateway.unusable_endpoints =
        before == nullptr ? std::vector<std::string>{} : before->unusable_endpoints;
  }
}

std::set<std::string> cidr_texts(const api::ClusterPeer::Spec& spec) {
  const auto texts = texts_of(spec.allowed_cidrs);
  std::set<std::string> all(texts.begin(), texts.end());
  all.insert(spec.unusable_cidrs.begin(), spec.unusable_cidrs.end());
  return all;
}

void add_prefix_changes(const api::ClusterPeer::Spec& before, const api::ClusterPeer::Spec& after,
                        std::vector<std::string>& lines) {
  const auto old = cidr_texts(before);
  const auto now = cidr_texts(after);
  for (const auto& text : now) {
    if (old.count(text) == 0) lines.push_back(fmt::format("{} is allowed now", text));
  }
  for (const auto& text : old) {
    if (now.count(text) == 0) lines.push_back(fmt::format("{} is no longer allowed", text));
  }
}

void add_gateway_changes(const api::ClusterPeer::Spec& before, const api::ClusterPeer::Spec& after,
                         std::vector<std::string>& lines) {
  for (const auto& gateway : after.gateways) {
    const auto name = fmt::format("gateway {}/{}", after.cluster_id, gateway.ordinal);
    const auto* old = gateway_of(before, gateway.ordinal);
    if (old == nullptr) {
      lines.push_back(fmt::format("{} is new: {}, endpoints {}", name,
                                  fingerprint_text(gateway.public_key), endpoints_text(gateway)));
      continue;
    }
    if (old->public_key != gateway.public_key) {
      lines.push_back(fmt::format("{}: key was {}, is now {}", name,
                                  fingerprint_text(old->public_key),
                                  fingerprint_text(gateway.public_key)));
    }
    if (endpoints_text(*old) != endpoints_text(gateway)) {
      lines.push_back(fmt::format("{}: endpoints were {}, are now {}", name, endpoints_text(*old),
                                  endpoints_text(gateway)));
    }
  }
  for (const auto& gateway : before.gateways) {
    if (gateway_of(after, gateway.ordinal) != nullptr) continue;
    lines.push_back(fmt::format("gateway {}/{} is gone", after.cluster_id, gateway.ordinal));
  }
}

}  // namespace

Result<Offer> offer_of(const OwnCluster& own, const ExportChoice& choice) {
  auto peer = peer_of(own, choice);
  if (!peer) return fail(std::move(peer.error()));
  return Offer{std::move(*peer), !choice.cidrs.empty() || !own.ranges.pods.empty()};
}

const api::ClusterPeer* known_peer(const OwnCluster& own, const std::string& cluster) {
  const auto* stored = stored_peer(own, cluster);
  return stored == nullptr || stored->spec.unpaired ? nullptr : stored;
}

api::ClusterPeer accepted_peer(const OwnCluster& own, const api::ClusterPeer& offer,
                               const Sharing& sharing) {
  api::ClusterPeer wanted;  // only the fields that pairing sets
  wanted.meta.key.name = offer.meta.key.name;
  wanted.spec = offer.spec;
  wanted.spec.imports.reset();  // this cluster decides what it imports, not the other one
  if (const auto* before = stored_peer(own, offer.spec.cluster_id)) {
    wanted.meta.key = before->meta.key;
    wanted.meta.labels = before->meta.labels;
    wanted.meta.annotations = before->meta.annotations;
    wanted.spec.imports = before->spec.imports;
    if (wanted.spec.preshared_key_secret.empty()) {
      wanted.spec.preshared_key_secret = before->spec.preshared_key_secret;
    }
  }
  wanted.spec.imports = imports_with(std::move(wanted.spec.imports), sharing);
  return wanted;
}

api::ClusterPeer refreshed_peer(const OwnCluster& own, const Offer& offer, const Sharing& sharing,
                                bool keep_endpoints) {
  auto wanted = accepted_peer(own, offer.peer, sharing);
  const auto* known = known_peer(own, offer.peer.spec.cluster_id);
  if (known == nullptr) return wanted;
  const std::vector<OwnPrefixes> nodes{own_nodes(own)};
  for (auto& gateway : wanted.spec.gateways) {
    std::erase_if(gateway.endpoints, [&](const Contact& contact) {
      const auto* endpoint = contact.endpoint();  // a name is judged when it is looked up
      return endpoint != nullptr && never_an_endpoint(endpoint->address, nodes).has_value();
    });
  }
  keep_endpoints_of(known->spec, wanted.spec, keep_endpoints);
  if (!offer.all_ranges) {
    auto all = known->spec.allowed_cidrs;
    all.insert(all.end(), wanted.spec.allowed_cidrs.begin(), wanted.spec.allowed_cidrs.end());
    wanted.spec.allowed_cidrs = PrefixSet(all).outermost();
  }
  return wanted;
}

std::vector<std::string> changes_of(const api::ClusterPeer::Spec& before,
                                    const api::ClusterPeer::Spec& after) {
  std::vector<std::string> lines;
  add_prefix_changes(before, after, lines);
  add_gateway_changes(before, after, lines);
  if (before.preshared_key_secret != after.preshared_key_secret) {
    lines.push_back(
        fmt::format("the pre-shared key is in the Secret {} now", after.preshared_key_secret));
  }
  if (before.imports != after.imports) lines.emplace_back("the imports are other ones");
  return lines;
}

}  // namespace cw::cli
