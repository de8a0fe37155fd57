#include "cli/pair.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "api/dir/yaml.h"
#include "api/mcs/imports.h"
#include "api/types/codec.h"
#include "base/prefix_set.h"
#include "tunnel/fingerprint.h"
#include "tunnel/key.h"

namespace cw::cli {

namespace {

// The ranges of the cluster, and prefixes of nodes that lie outside of them.
std::vector<Prefix> allowed(const OwnCluster& own, const ExportChoice& choice) {
  if (!choice.cidrs.empty()) return PrefixSet(choice.cidrs).outermost();
  auto all = own.ranges.pods;
  all.insert(all.end(), own.pods.begin(), own.pods.end());
  return PrefixSet(all).outermost();
}

Result<> keys_are_good(const api::ClusterPeer& peer, const OwnCluster& own) {
  std::map<std::string, std::string> seen;
  for (const auto& gateway : own.gateways) {
    seen[gateway.spec.public_key] = fmt::format("this cluster's gateway {}", gateway.spec.ordinal);
  }
  for (const auto& other : own.peers) {
    if (other.spec.cluster_id == peer.spec.cluster_id) continue;
    for (const auto& gateway : other.spec.gateways) {
      seen[gateway.public_key] =
          fmt::format("gateway {}/{}", other.spec.cluster_id, gateway.ordinal);
    }
  }
  std::set<std::uint32_t> ordinals;
  for (const auto& gateway : peer.spec.gateways) {
    const auto name = fmt::format("gateway {}/{}", peer.spec.cluster_id, gateway.ordinal);
    if (!ordinals.insert(gateway.ordinal).second) {
      return fail(Errc::kInvalid, fmt::format("{} is listed twice", name));
    }
    const auto key = tunnel::Key::from_base64(gateway.public_key);
    if (!key || key->is_zero()) {
      return fail(Errc::kInvalid, fmt::format("{}: \"{}\" is not a WireGuard public key", name,
                                              gateway.public_key));
    }
    const auto [at, fresh] = seen.emplace(gateway.public_key, name);
    if (!fresh) {
      return fail(Errc::kInvalid, fmt::format("{} has the same key as {}", name, at->second));
    }
  }
  return {};
}

// The networks of this cluster that a peer's prefix must not overlap.
std::vector<OwnPrefixes> own_prefixes(const OwnCluster& own) {
  std::vector<Prefix> servers;
  for (const auto& ip : own.api_servers) servers.push_back(Prefix::host(ip));
  std::vector<Prefix> controls;
  for (const auto& gateway : own.gateways) {
    if (const auto key = tunnel::Key::from_base64(gateway.spec.public_key)) {
      controls.push_back(Prefix::host(tunnel::control_address(*key)));
    }
  }
  return {{"pods of this cluster", PrefixSet(allowed(own, {}))},
          own_nodes(own),
          {"the API server of this cluster", PrefixSet(servers)},
          {"Services of this cluster", PrefixSet(own.services)},
          {"the control address of a gateway of this cluster", PrefixSet(controls)}};
}

Result<> endpoints_are_good(const api::ClusterPeer& peer, const OwnCluster& own) {
  const std::vector<OwnPrefixes> nodes{own_nodes(own)};
  for (const auto& gateway : peer.spec.gateways) {
    for (const auto& contact : gateway.endpoints) {
      const auto* endpoint = contact.endpoint();
      if (endpoint == nullptr) continue;  // a name: gateways judge its addresses
      if (const auto why = never_an_endpoint(endpoint->address, nodes)) {
        return fail(Errc::kInvalid,
                    fmt::format("gateway {}/{}: its endpoint {} cannot be used: {} {}",
                                peer.spec.cluster_id, gateway.ordinal, endpoint->to_string(),
                                endpoint->address.to_string(), *why));
      }
    }
  }
  return {};
}

Result<> prefixes_are_free(const api::ClusterPeer& peer, const OwnCluster& own) {
  if (peer.spec.allowed_cidrs.empty()) {
    return fail(Errc::kInvalid,
                fmt::format("cluster {} may claim no prefix (allowedCidrs is empty)",
                            peer.spec.cluster_id));
  }
  const auto ours = own_prefixes(own);
  for (const auto& prefix : peer.spec.allowed_cidrs) {
    if (const auto why = never_a_peers(prefix, ours)) {
      return fail(Errc::kInvalid, fmt::format("cluster {} cannot have {}: it {}",
                                              peer.spec.cluster_id, prefix.to_string(), *why));
    }
    for (const auto& other : own.peers) {
      if (other.spec.cluster_id == peer.spec.cluster_id) continue;
      if (const auto hit = PrefixSet(other.spec.allowed_cidrs).overlapping(prefix)) {
        return fail(Errc::kInvalid,
                    fmt::format("{} of cluster {} overlaps {} of cluster {}", prefix.to_string(),
                                peer.spec.cluster_id, hit->to_string(), other.spec.cluster_id));
      }
    }
  }
  return {};
}

// "(unreadable)" if it is no key. acceptable() refuses it with a message.
std::string fingerprint_of(const api::PeerGateway& gateway) {
  const auto key = tunnel::Key::from_base64(gateway.public_key);
  return key ? tunnel::fingerprint(*key) : "(unreadable)";
}

}  // namespace

OwnPrefixes own_nodes(const OwnCluster& own) {
  std::vector<Prefix> addresses;
  for (const auto& node : own.nodes) {
    for (const auto& ip : node.internal_ips) addresses.push_back(Prefix::host(ip));
    for (const auto& ip : node.external_ips) addresses.push_back(Prefix::host(ip));
  }
  return {"the address of a node of this cluster", PrefixSet(addresses)};
}

Result<api::ClusterPeer> peer_of(const OwnCluster& own, const ExportChoice& choice) {
  if (own.id.empty()) {
    return fail(Errc::kNotFound, fmt::format("this cluster has no id: create ClusterProperty {}",
                                             api::kClusterIdProperty));
  }
  api::ClusterPeer peer;
  peer.meta.key.name = own.id;
  peer.spec.cluster_id = own.id;
  for (const auto& gateway : own.gateways) {
    if (gateway.spec.public_key.empty()) continue;
    peer.spec.gateways.push_back({gateway.spec.ordinal, gateway.spec.public_key, {}});
    if (!choice.without_endpoints) peer.spec.gateways.back().endpoints = gateway.spec.endpoints;
  }
  std::sort(peer.spec.gateways.begin(), peer.spec.gateways.end(),
            [](const auto& a, const auto& b) { return a.ordinal < b.ordinal; });
  if (peer.spec.gateways.empty()) {
    return fail(Errc::kNotFound,
                "no gateway of this cluster has announced its key yet: start causeway-gateway");
  }
  peer.spec.allowed_cidrs = allowed(own, choice);
  if (peer.spec.allowed_cidrs.empty()) {
    return fail(Errc::kNotFound, "no node has a pod prefix: name them with --cidr");
  }
  return peer;
}

std::string allowed_text(const OwnCluster& own, const ExportChoice& choice) {
  const auto prefixes = allowed(own, choice);
  std::vector<std::string> texts;
  texts.reserve(prefixes.size());
  for (const auto& prefix : prefixes) texts.push_back(prefix.to_string());
  const auto list = fmt::format("{}", fmt::join(texts, ", "));
  if (!choice.cidrs.empty()) return fmt::format("allowed pods: {} (--cidr)\n", list);
  if (!own.ranges.pods.empty()) {
    return fmt::format("allowed pods: {} ({})\n", list, own.ranges.from);
  }
  return fmt::format(
      "allowed pods: {} (what the nodes have now). The peer refuses prefixes of later nodes: name "
      "the cluster's ranges with --cidr, or in the chart's prefixes.ranges{}{}\n",
      list, own.ranges.problem.empty() ? "" : ". ", own.ranges.problem);
}

std::string peer_yaml(const api::ClusterPeer& peer) {
  const auto body = api::encode(peer);
  nlohmann::ordered_json document;
  document["apiVersion"] = body.at("apiVersion");
  document["kind"] = body.at("kind");
  document["metadata"]["name"] = peer.meta.key.name;
  document["spec"] = body.at("spec");
  return api::to_yaml(document);
}

Result<api::ClusterPeer> parse_peer(std::string_view text, const std::string& name) {
  const auto body = api::parse_yaml(text, name);
  if (!body) return fail(body.error());
  const auto kind = body->is_object() ? body->value("kind", nlohmann::json()) : nlohmann::json();
  if (kind != "ClusterPeer") {
    return fail(Errc::kInvalid, fmt::format("{}: kind is not ClusterPeer", name));
  }
  auto peer = api::decode<api::ClusterPeer>(*body);
  if (!peer) return fail(std::move(peer.error()).context(name));
  if (!peer->spec.unusable_cidrs.empty()) {
    return fail(Prefix::parse(peer->spec.unusable_cidrs.front())
                    .error()
                    .context(fmt::format("{}: spec.allowedCidrs", name)));
  }
  for (const auto& gateway : peer->spec.gateways) {
    if (gateway.unusable_endpoints.empty()) continue;
    return fail(Contact::parse(gateway.unusable_endpoints.front())
                    .error()
                    .context(fmt::format("{}: gateway {}", name, gateway.ordinal)));
  }
  return peer;
}

Result<> acceptable(const api::ClusterPeer& peer, const OwnCluster& own) {
  if (own.id.empty()) {
    return fail(Errc::kInvalid, fmt::format("this cluster has no id: create ClusterProperty {}",
                                            api::kClusterIdProperty));
  }
  if (peer.spec.cluster_id == own.id) {
    return fail(Errc::kInvalid, fmt::format("{} is this cluster itself", own.id));
  }
  if (peer.spec.unpaired) {
    return fail(Errc::kInvalid,
                fmt::format("the ClusterPeer says that the pairing with {} has ended",
                            peer.spec.cluster_id));
  }
  if (!api::is_dns_label(peer.spec.cluster_id)) {
    return fail(Errc::kInvalid,
                fmt::format("\"{}\" is not a cluster id (a DNS label)", peer.spec.cluster_id));
  }
  if (peer.meta.key.name != peer.spec.cluster_id) {
    return fail(Errc::kInvalid, fmt::format("the ClusterPeer is named {} but is cluster {}",
                                            peer.meta.key.name, peer.spec.cluster_id));
  }
  const auto& secret = peer.spec.preshared_key_secret;
  if (!secret.empty() && !api::is_dns_label(secret)) {
    return fail(Errc::kInvalid, "presharedKeySecret is not a Secret's name (a DNS label)");
  }
  if (peer.spec.gateways.empty()) {
    return fail(Errc::kInvalid, fmt::format("cluster {} has no gateway", peer.spec.cluster_id));
  }
  if (auto good = keys_are_good(peer, own); !good) return good;
  if (auto good = endpoints_are_good(peer, own); !good) return good;
  return prefixes_are_free(peer, own);
}

std::optional<std::vector<api::ImportRule>> imports_with(
    std::optional<std::vector<api::ImportRule>> before, const Sharing& sharing) {
  std::vector<api::ImportRule> wanted;
  if (sharing.all) wanted.push_back(api::import_everything());
  for (const auto& name : sharing.names) wanted.push_back({name.ns, name.name, true, false});
  if (wanted.empty()) return before;
  if (!before) before.emplace().push_back({"*", "*", false, false});
  for (auto& rule : wanted) {
    if (std::find(before->begin(), before->end(), rule) == before->end()) {
      before->push_back(std::move(rule));
    }
  }
  return before;
}

std::string imports_text(const api::ClusterPeer::Spec& peer) {
  if (!peer.imports) return "  imports: every name that this cluster does not export itself\n";
  if (peer.imports->empty()) return "  imports: nothing\n";
  std::string text;
  for (const auto& rule : *peer.imports) {
    text += fmt::format("  imports: {}/{}{}{}\n", rule.ns, rule.service,
                        rule.over_local
                            ? fmt::format(", also where this cluster exports the name itself: {} "
                                          "serves a share of its clients",
                                          peer.cluster_id)
                            : "",
                        rule.follow_policy ? ", and follows its causeway.dev/ annotations" : "");
  }
  return text;
}

std::vector<api::PeerGateway> new_keys(const api::ClusterPeer& known,
                                       const api::ClusterPeer& peer) {
  std::set<std::string> trusted;
  for (const auto& gateway : known.spec.gateways) trusted.insert(gateway.public_key);
  std::vector<api::PeerGateway> fresh;
  for (const auto& gateway : peer.spec.gateways) {
    if (trusted.count(gateway.public_key) == 0) fresh.push_back(gateway);
  }
  return fresh;
}

std::string fingerprints_text(const api::ClusterPeer& peer, const api::ClusterPeer* known) {
  std::string text;
  for (const auto& gateway : peer.spec.gateways) {
    text += fmt::format("  gateway {}/{}: ", peer.spec.cluster_id, gateway.ordinal);
    const api::PeerGateway* before = nullptr;
    if (known != nullptr) {
      for (const auto& old : known->spec.gateways) {
        if (old.ordinal == gateway.ordinal) before = &old;
      }
    }
    if (known == nullptr || (before != nullptr && before->public_key == gateway.public_key)) {
      text += fingerprint_of(gateway) + "\n";
    } else if (before == nullptr) {
      text += fmt::format("{} (new)\n", fingerprint_of(gateway));
    } else {
      text += fmt::format("was {}, is now {}\n", fingerprint_of(*before), fingerprint_of(gateway));
    }
  }
  return text;
}

}  // namespace cw::cli
