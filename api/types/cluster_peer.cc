#include <algorithm>

#include "api/types/codec.h"
#include "api/types/json_fields.h"
#include "base/prefix_set.h"

namespace cw::api {

using nlohmann::json;

namespace {

// A text that cannot be parsed costs neither the others of its list nor the ClusterPeer.
template <typename T, typename Parse>
void read_usable(JsonFields& fields, const char* key, const Parse& parse, std::vector<T>& usable,
                 std::vector<std::string>& unusable) {
  std::vector<std::string> texts;
  fields.read(key, texts);
  for (auto& text : texts) {
    if (const auto one = parse(text)) {
      usable.push_back(*one);
    } else {
      unusable.push_back(std::move(text));
    }
  }
}

PeerGateway read_gateway(JsonFields& f) {
  PeerGateway gateway;
  if (!f.has("ordinal")) f.wrong("ordinal", "is missing");
  f.read("ordinal", gateway.ordinal);
  f.require("publicKey", gateway.public_key);
  read_usable(f, "endpoints", Endpoint::parse, gateway.endpoints, gateway.unusable_endpoints);
  return gateway;
}

// True: a DNS label or "*".
bool names_or_all(const std::string& text) { return text == "*" || is_dns_label(text); }

ImportRule read_rule(JsonFields& f) {
  ImportRule rule;
  f.require("namespace", rule.ns);
  f.read("service", rule.service);
  if (!names_or_all(rule.ns)) f.wrong("namespace", "want a namespace or \"*\"");
  if (!names_or_all(rule.service)) f.wrong("service", "want a Service's name or \"*\"");
  f.read("overLocal", rule.over_local);
  f.read("followPolicy", rule.follow_policy);
  return rule;
}

json to_json(const ImportRule& rule) {
  json out{{"namespace", rule.ns}, {"service", rule.service}};
  if (rule.over_local) out["overLocal"] = true;
  if (rule.follow_policy) out["followPolicy"] = true;
  return out;
}

json to_json(const PeerGateway& gateway) {
  json out{{"ordinal", gateway.ordinal}, {"publicKey", gateway.public_key}};
  auto endpoints = texts(gateway.endpoints);
  for (const auto& text : gateway.unusable_endpoints) endpoints.push_back(text);
  put_unless_empty(out, "endpoints", endpoints);
  return out;
}

}  // namespace

template <>
Result<ClusterPeer> decode(const json& body) {
  std::optional<Error> problem;
  ClusterPeer peer;
  peer.meta = decode_meta(body, problem);
  JsonFields fields(body, "", problem);
  if (!fields.has("spec")) fields.wrong("spec", "is missing");
  fields.object("spec", [&](JsonFields& spec) {
    spec.require("clusterId", peer.spec.cluster_id);
    if (!is_dns_label(peer.spec.cluster_id)) {
      spec.wrong("clusterId", "want a DNS label: 1 to 63 of a-z, 0-9 and -");
    }
    spec.list("gateways", peer.spec.gateways, read_gateway);
    spec.read("unpaired", peer.spec.unpaired);
    if (peer.spec.gateways.empty() && !peer.spec.unpaired) {
      spec.wrong("gateways", "want at least one");
    }
    read_usable(spec, "allowedCidrs", Prefix::parse, peer.spec.allowed_cidrs,
                peer.spec.unusable_cidrs);
    spec.read("presharedKeySecret", peer.spec.preshared_key_secret);
    if (spec.has("imports")) spec.list("imports", peer.spec.imports.emplace(), read_rule);
  });
  fields.object("status", [&](JsonFields& status) {
    status.read("cidrs", peer.status.cidrs);
    status.list("gateways", peer.status.gateways, [](JsonFields& f) {
      LearnedGateway learned;
      learned.gateway = read_gateway(f);
      f.read("draining", learned.draining);
      f.read("own", learned.own);
      f.read("homed", learned.homed);
      return learned;
    });
    status.read("connected", peer.status.connected);
    read_conditions(status, peer.status.conditions);
  });
  if (problem) return fail(*problem);
  return peer;
}

template <>
json encode(const ClusterPeer& peer) {
  auto out = envelope(Kind::kClusterPeer, peer.meta);
  auto& spec = out["spec"];
  spec["clusterId"] = peer.spec.cluster_id;
  spec["gateways"] = json::array();
  for (const auto& gateway : peer.spec.gateways) spec["gateways"].push_back(to_json(gateway));
  auto allowed = texts(peer.spec.allowed_cidrs);
  for (const auto& text : peer.spec.unusable_cidrs) allowed.push_back(text);
  spec["allowedCidrs"] = std::move(allowed);
  put_unless_empty(spec, "presharedKeySecret", peer.spec.preshared_key_secret);
  if (peer.spec.unpaired) spec["unpaired"] = true;
  if (peer.spec.imports) {
    spec["imports"] = json::array();
    for (const auto& rule : *peer.spec.imports) spec["imports"].push_back(to_json(rule));
  }
  if (peer.status == ClusterPeer::Status{}) return out;
  auto& status = out["status"];
  status["connected"] = peer.status.connected;
  put_unless_empty(status, "cidrs", texts(peer.status.cidrs));
  for (const auto& learned : peer.status.gateways) {
    auto item = to_json(learned.gateway);
    if (learned.draining) item["draining"] = true;
    put_unless_empty(item, "own", texts(learned.own));
    put_unless_empty(item, "homed", texts(learned.homed));
    status["gateways"].push_back(std::move(item));
  }
  put_unless_empty(status, "conditions", to_json(peer.status.conditions));
  return out;
}

std::vector<Prefix> trusted_cidrs(const ClusterPeer& peer) {
  const PrefixSet allowed(peer.spec.allowed_cidrs);
  auto cidrs = peer.status.cidrs;
  std::erase_if(cidrs, [&](const Prefix& prefix) { return !allowed.covering(prefix); });
  return cidrs;
}

}  // namespace cw::api
