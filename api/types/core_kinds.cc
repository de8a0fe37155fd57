// Codecs of the small Kubernetes kinds: ClusterProperty, Node, Namespace, ServiceCIDR, Secret,
// Lease.
#include <fmt/format.h>

#include "api/types/base64.h"
#include "api/types/codec.h"
#include "api/types/json_fields.h"

namespace cw::api {

using nlohmann::json;

template <>
Result<ClusterProperty> decode(const json& body) {
  std::optional<Error> problem;
  ClusterProperty object;
  object.meta = decode_meta(body, problem);
  JsonFields fields(body, "", problem);
  if (!fields.has("spec")) fields.wrong("spec", "is missing");
  fields.object("spec", [&](JsonFields& spec) { spec.require("value", object.value); });
  if (problem) return fail(*problem);
  return object;
}

template <>
json encode(const ClusterProperty& object) {
  auto out = envelope(Kind::kClusterProperty, object.meta);
  out["spec"]["value"] = object.value;
  return out;
}

template <>
Result<Node> decode(const json& body) {
  std::optional<Error> problem;
  Node node;
  node.meta = decode_meta(body, problem);
  JsonFields fields(body, "", problem);
  fields.object("spec", [&](JsonFields& spec) { spec.read("podCIDRs", node.pod_cidrs); });
  fields.object("status", [&](JsonFields& status) {
    struct TypedAddress {
      std::string type;
      std::string address;
    };
    std::vector<TypedAddress> addresses;
    status.list("addresses", addresses, [](JsonFields& f) {
      TypedAddress item;
      f.read("type", item.type);
      f.read("address", item.address);
      return item;
    });
    for (const auto& item : addresses) {
      const bool internal = item.type == "InternalIP";
      if (!internal && item.type != "ExternalIP") continue;
      const auto address = IpAddress::parse(item.address);
      if (!address) {
        status.wrong("addresses", address.error().text);
        break;
      }
      (internal ? node.internal_ips : node.external_ips).push_back(*address);
    }
    std::vector<Condition> conditions;
    read_conditions(status, conditions);
    if (const auto* ready = find_condition(conditions, "Ready"); ready != nullptr) {
      node.ready = ready->status == ConditionStatus::kTrue;
    }
  });
  if (problem) return fail(*problem);
  return node;
}

template <>
json encode(const Node& node) {
  auto out = envelope(Kind::kNode, node.meta);
  if (!node.pod_cidrs.empty()) {
    out["spec"]["podCIDR"] = node.pod_cidrs.front().to_string();
    out["spec"]["podCIDRs"] = texts(node.pod_cidrs);
  }
  auto& addresses = out["status"]["addresses"] = json::array();
  for (const auto& ip : node.internal_ips) {
    addresses.push_back({{"type", "InternalIP"}, {"address", ip.to_string()}});
  }
  for (const auto& ip : node.external_ips) {
    addresses.push_back({{"type", "ExternalIP"}, {"address", ip.to_string()}});
  }
  out["status"]["conditions"] =
      json::array({{{"type", "Ready"}, {"status", node.ready ? "True" : "False"}}});
  return out;
}

template <>
Result<Namespace> decode(const json& body) {
  std::optional<Error> problem;
  Namespace object;
  object.meta = decode_meta(body, problem);
  if (problem) return fail(*problem);
  return object;
}

template <>
json encode(const Namespace& object) {
  return envelope(Kind::kNamespace, object.meta);
}

template <>
Result<ServiceCidr> decode(const json& body) {
  std::optional<Error> problem;
  ServiceCidr object;
  object.meta = decode_meta(body, problem);
  JsonFields fields(body, "", problem);
  fields.object("spec", [&](JsonFields& spec) { spec.read("cidrs", object.cidrs); });
  if (problem) return fail(*problem);
  return object;
}

template <>
json encode(const ServiceCidr& object) {
  auto out = envelope(Kind::kServiceCidr, object.meta);
  put_unless_empty(out["spec"], "cidrs", texts(object.cidrs));
  return out;
}

template <>
Result<Secret> decode(const json& body) {
  std::optional<Error> problem;
  Secret secret;
  secret.meta = decode_meta(body, problem);
  JsonFields fields(body, "", problem);
  std::map<std::string, std::string> coded;
  fields.read("data", coded);
  for (const auto& [name, text] : coded) {
    auto bytes = decode_base64(text);
    if (!bytes) {
      fields.wrong("data", fmt::format("{}: not base64", name));
      break;
    }
    secret.data.emplace(name, std::move(*bytes));
  }
  if (problem) return fail(*problem);
  return secret;
}

template <>
json encode(const Secret& secret) {
  auto out = envelope(Kind::kSecret, secret.meta);
  out["type"] = "Opaque";
  for (const auto& [name, bytes] : secret.data) out["data"][name] = encode_base64(bytes);
  return out;
}

namespace {

// In the format of metav1.MicroTime.
std::string format_micro(WallTime time) {
  const auto whole = std::chrono::floor<std::chrono::seconds>(time);
  auto text = format_time(time);
  text.pop_back();
  return fmt::format("{}.{:06}Z", text,
                     std::chrono::floor<std::chrono::microseconds>(time - whole).count());
}

}  // namespace

template <>
Result<Lease> decode(const json& body) {
  std::optional<Error> problem;
  Lease lease;
  lease.meta = decode_meta(body, problem);
  JsonFields fields(body, "", problem);
  fields.object("spec", [&](JsonFields& spec) {
    spec.read("holderIdentity", lease.holder);
    spec.read("leaseDurationSeconds", lease.duration_seconds);
    spec.read("acquireTime", lease.acquired);
    spec.read("renewTime", lease.renewed);
    spec.read("leaseTransitions", lease.transitions);
  });
  if (problem) return fail(*problem);
  return lease;
}

template <>
json encode(const Lease& lease) {
  auto out = envelope(Kind::kLease, lease.meta);
  auto& spec = out["spec"];
  spec["holderIdentity"] = lease.holder;
  spec["leaseDurationSeconds"] = lease.duration_seconds;
  spec["leaseTransitions"] = lease.transitions;
  if (lease.acquired != WallTime{}) spec["acquireTime"] = format_micro(lease.acquired);
  if (lease.renewed != WallTime{}) spec["renewTime"] = format_micro(lease.renewed);
  return out;
}

}  // namespace cw::api
