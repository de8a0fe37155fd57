#include <charconv>

#include "api/types/codec.h"
#include "api/types/ports.h"

namespace cw::api {

using nlohmann::json;

namespace {

void check_protocol(JsonFields& f, const std::string& protocol) {
  if (protocol != "TCP" && protocol != "UDP" && protocol != "SCTP") {
    f.wrong("protocol", "want TCP, UDP or SCTP");
  }
}

}  // namespace

ServicePort read_service_port(JsonFields& f) {
  ServicePort port;
  f.read("name", port.name);
  f.read("protocol", port.protocol);
  f.read("appProtocol", port.app_protocol);
  f.read("port", port.port);
  f.read_int_or_string("targetPort", port.target_port);
  check_protocol(f, port.protocol);
  if (port.port == 0) f.wrong("port", "want a number from 1 to 65535");
  return port;
}

json to_json(const ServicePort& port) {
  json out{{"protocol", port.protocol}, {"port", port.port}};
  put_unless_empty(out, "name", port.name);
  put_unless_empty(out, "appProtocol", port.app_protocol);
  if (port.target_port.empty()) return out;
  std::uint16_t number = 0;
  const auto* end = port.target_port.data() + port.target_port.size();
  const auto read = std::from_chars(port.target_port.data(), end, number);
  if (read.ec == std::errc{} && read.ptr == end) {
    out["targetPort"] = number;
  } else {
    out["targetPort"] = port.target_port;
  }
  return out;
}

SlicePort read_slice_port(JsonFields& f) {
  SlicePort port;
  f.read("name", port.name);
  f.read("protocol", port.protocol);
  f.read("appProtocol", port.app_protocol);
  f.read("port", port.port);
  check_protocol(f, port.protocol);
  return port;
}

json to_json(const SlicePort& port) {
  json out{{"name", port.name}, {"protocol", port.protocol}, {"port", port.port}};
  put_unless_empty(out, "appProtocol", port.app_protocol);
  return out;
}

template <>
Result<Service> decode(const json& body) {
  std::optional<Error> problem;
  Service service;
  service.meta = decode_meta(body, problem);
  JsonFields fields(body, "", problem);
  fields.object("spec", [&](JsonFields& f) {
    auto& spec = service.spec;
    f.read("type", spec.type);
    f.read("clusterIPs", spec.cluster_ips);
    if (spec.cluster_ips.empty()) {  // hand-written files may have only clusterIP
      std::string one;
      f.read("clusterIP", one);
      if (!one.empty()) spec.cluster_ips.push_back(one);
    }
    f.read("ipFamilies", spec.ip_families);
    f.read("ipFamilyPolicy", spec.ip_family_policy);
    f.list("ports", spec.ports, read_service_port);
    f.read("selector", spec.selector);
    f.read("sessionAffinity", spec.session_affinity);
    f.object("sessionAffinityConfig", [&](JsonFields& config) {
      config.object("clientIP", [&](JsonFields& client) {
        client.read("timeoutSeconds", spec.session_affinity_timeout);
      });
    });
    f.read("internalTrafficPolicy", spec.internal_traffic_policy);
    f.read("trafficDistribution", spec.traffic_distribution);
    f.read("publishNotReadyAddresses", spec.publish_not_ready_addresses);
  });
  if (problem) return fail(*problem);
  return service;
}

template <>
json encode(const Service& service) {
  auto out = envelope(Kind::kService, service.meta);
  const auto& from = service.spec;
  auto& spec = out["spec"];
  spec["type"] = from.type;
  spec["ports"] = json_list(from.ports);
  if (!from.cluster_ips.empty()) {
    spec["clusterIP"] = from.cluster_ips.front();
    spec["clusterIPs"] = from.cluster_ips;
  }
  put_unless_empty(spec, "ipFamilies", from.ip_families);
  put_unless_empty(spec, "ipFamilyPolicy", from.ip_family_policy);
  put_unless_empty(spec, "selector", from.selector);
  spec["sessionAffinity"] = from.session_affinity;
  if (from.session_affinity_timeout) {
    spec["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"] = *from.session_affinity_timeout;
  }
  put_unless_empty(spec, "internalTrafficPolicy", from.internal_traffic_policy);
  put_unless_empty(spec, "trafficDistribution", from.traffic_distribution);
  if (from.publish_not_ready_addresses) spec["publishNotReadyAddresses"] = true;
  return out;
}

}  // namespace cw::api
