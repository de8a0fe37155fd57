#include "api/types/object_codec.h"
#include "base/prefix_set.h"

namespace cw::api {

namespace {

template <typename T>
std::vector<std::string> texts_of(const std::vector<T>& usable, std::vector<std::string> unusable) {
  std::vector<std::string> texts;
  texts.reserve(usable.size() + unusable.size());
  for (const auto& one : usable) texts.push_back(one.to_string());
  std::move(unusable.begin(), unusable.end(), std::back_inserter(texts));
  return texts;
}

// A text that cannot be parsed costs neither the others of its list nor the ClusterPeer.
template <typename T>
void sort_out(std::vector<std::string> texts, std::vector<T>& usable,
              std::vector<std::string>& unusable) {
  usable.clear();
  unusable.clear();
  for (auto& text : texts) {
    if (const auto one = T::parse(text)) {
      usable.push_back(*one);
    } else {
      unusable.push_back(std::move(text));
    }
  }
}

bool is_label_or_all(const std::string& text) { return text == "*" || is_dns_label(text); }

}  // namespace

static void fields(JsonFields& f, PeerGateway& gateway) {
  f.required("ordinal", gateway.ordinal);
  f.required("publicKey", gateway.public_key);
  auto endpoints = texts_of(gateway.endpoints, gateway.unusable_endpoints);
  f.optional("endpoints", endpoints);
  sort_out(std::move(endpoints), gateway.endpoints, gateway.unusable_endpoints);
}

static void fields(JsonFields& f, LearnedGateway& learned) {
  fields(f, learned.gateway);
  f.optional("draining", learned.draining);
  f.optional("node", learned.node);
}

static void fields(JsonFields& f, LearnedNode& learned) {
  f.optional("name", learned.name);
  f.optional("prefixes", learned.prefixes);
}

static void fields(JsonFields& f, ImportRule& rule) {
  f.required("namespace", rule.ns);
  f.always("service", rule.service);
  f.want(is_label_or_all(rule.ns), "namespace", "want a namespace or \"*\"");
  f.want(is_label_or_all(rule.service), "service", "want a Service's name or \"*\"");
  f.optional("overLocal", rule.over_local);
  f.optional("followPolicy", rule.follow_policy);
}

static void fields(JsonFields& f, ClusterPeer::Spec& spec) {
  f.required("clusterId", spec.cluster_id);
  f.want(is_dns_label(spec.cluster_id), "clusterId", "want a DNS label: 1 to 63 of a-z, 0-9 and -");
  f.always("gateways", spec.gateways);
  f.optional("unpaired", spec.unpaired);
  f.want(!spec.gateways.empty() || spec.unpaired, "gateways", "want at least one");
  auto allowed = texts_of(spec.allowed_cidrs, spec.unusable_cidrs);
  f.always("allowedCidrs", allowed);
  sort_out(std::move(allowed), spec.allowed_cidrs, spec.unusable_cidrs);
  f.optional("presharedKeySecret", spec.preshared_key_secret);
  f.optional("imports", spec.imports);
}

static void fields(JsonFields& f, ClusterPeer::Status& status) {
  f.optional("cidrs", status.cidrs);
  f.optional("nodes", status.nodes);
  f.optional("gateways", status.gateways);
  f.always("connected", status.connected);
  f.optional("conditions", status.conditions);
}

static void fields(JsonFields& f, ClusterPeer& peer) {
  f.required("spec", peer.spec);
  f.optional("status", peer.status);
}
template Result<ClusterPeer> decode(const nlohmann::json& body);
template nlohmann::json encode(const ClusterPeer& object);

std::vector<Prefix> trusted_cidrs(const ClusterPeer& peer) {
  const PrefixSet allowed(peer.spec.allowed_cidrs);
  auto cidrs = peer.status.cidrs;
  std::erase_if(cidrs, [&](const Prefix& prefix) { return !allowed.covering(prefix); });
  return cidrs;
}

}  // namespace cw::api
