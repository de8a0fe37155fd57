// Codecs of the small Kubernetes kinds: ClusterProperty, Node, Namespace, ServiceCIDR, Secret,
// Lease.
#include <fmt/format.h>

#include "api/types/base64.h"
#include "api/types/object_codec.h"

namespace cw::api {

static void fields(JsonFields& f, ClusterProperty& object) {
  f.want(f.has("spec"), "spec", "is missing");
  f.object("spec", [&](JsonFields& spec) { spec.required("value", object.value); });
}
template Result<ClusterProperty> decode(const nlohmann::json& body);
template nlohmann::json encode(const ClusterProperty& object);

namespace {

struct NodeAddress {
  std::string type;
  std::string address;
};
void fields(JsonFields& f, NodeAddress& address) {
  f.always("type", address.type);
  f.always("address", address.address);
}

void address_fields(JsonFields& status, Node& node) {
  std::vector<NodeAddress> addresses;
  for (const auto& ip : node.internal_ips) addresses.push_back({"InternalIP", ip.to_string()});
  for (const auto& ip : node.external_ips) addresses.push_back({"ExternalIP", ip.to_string()});
  status.always("addresses", addresses);
  node.internal_ips.clear();
  node.external_ips.clear();
  for (const auto& [type, text] : addresses) {
    const bool internal = type == "InternalIP";
    if (!internal && type != "ExternalIP") continue;
    const auto address = IpAddress::parse(text);
    if (!address) return status.want(false, "addresses", address.error().text);
    (internal ? node.internal_ips : node.external_ips).push_back(*address);
  }
}

}  // namespace

static void fields(JsonFields& f, Node& node) {
  f.object("spec", [&](JsonFields& spec) { spec.optional("podCIDRs", node.pod_cidrs); });
  f.object("status", [&](JsonFields& status) {
    address_fields(status, node);
    std::vector<Condition> conditions(1);
    conditions[0].type = "Ready";
    conditions[0].status = node.ready ? ConditionStatus::kTrue : ConditionStatus::kFalse;
    status.always("conditions", conditions);
    const auto* ready = find_condition(conditions, "Ready");
    node.ready = ready == nullptr || ready->status == ConditionStatus::kTrue;
  });
}
template Result<Node> decode(const nlohmann::json& body);
template nlohmann::json encode(const Node& object);

static void fields(JsonFields& /*f*/, Namespace& /*object*/) {}
template Result<Namespace> decode(const nlohmann::json& body);
template nlohmann::json encode(const Namespace& object);

static void fields(JsonFields& f, ServiceCidr& object) {
  f.object("spec", [&](JsonFields& spec) { spec.optional("cidrs", object.cidrs); });
}
template Result<ServiceCidr> decode(const nlohmann::json& body);
template nlohmann::json encode(const ServiceCidr& object);

static void fields(JsonFields& f, Secret& secret) {
  std::string type = "Opaque";
  if (!f.reading()) f.always("type", type);
  std::map<std::string, std::string> coded;
  for (const auto& [name, bytes] : secret.data) coded.emplace(name, encode_base64(bytes));
  f.optional("data", coded);
  for (const auto& [name, text] : coded) {
    auto bytes = decode_base64(text);
    if (!bytes) return f.want(false, "data", fmt::format("{}: not base64", name));
    secret.data[name] = std::move(*bytes);
  }
}
template Result<Secret> decode(const nlohmann::json& body);
template nlohmann::json encode(const Secret& object);

// Written in the format of metav1.MicroTime.
static void micro_time(JsonFields& f, const char* key, WallTime& time) {
  if (f.reading()) return f.optional(key, time);
  if (time == WallTime{}) return;
  const auto micros = std::chrono::floor<std::chrono::microseconds>(time.time_since_epoch());
  auto text = format_time(time);
  text.replace(text.size() - 1, 1, fmt::format(".{:06}Z", micros.count() % 1'000'000));
  f.always(key, text);
}

static void fields(JsonFields& f, Lease& lease) {
  f.object("spec", [&](JsonFields& spec) {
    spec.always("holderIdentity", lease.holder);
    spec.always("leaseDurationSeconds", lease.duration_seconds);
    micro_time(spec, "acquireTime", lease.acquired);
    micro_time(spec, "renewTime", lease.renewed);
    spec.always("leaseTransitions", lease.transitions);
  });
}
template Result<Lease> decode(const nlohmann::json& body);
template nlohmann::json encode(const Lease& object);

}  // namespace cw::api
