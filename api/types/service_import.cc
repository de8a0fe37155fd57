#include "api/types/codec.h"
#include "api/types/ports.h"

namespace cw::api {

using nlohmann::json;

template <>
Result<ServiceImport> decode(const json& body) {
  std::optional<Error> problem;
  ServiceImport object;
  object.meta = decode_meta(body, problem);
  JsonFields fields(body, "", problem);
  if (!fields.has("spec")) fields.wrong("spec", "is missing");
  fields.object("spec", [&](JsonFields& f) {
    auto& spec = object.spec;
    f.require("type", spec.type);
    if (spec.type != "ClusterSetIP" && spec.type != "Headless") {
      f.wrong("type", "want ClusterSetIP or Headless");
    }
    f.list("ports", spec.ports, read_service_port);
    f.read("ips", spec.ips);
    f.read("ipFamilies", spec.ip_families);
    f.read("sessionAffinity", spec.session_affinity);
    f.object("sessionAffinityConfig", [&](JsonFields& config) {
      config.object("clientIP", [&](JsonFields& client) {
        client.read("timeoutSeconds", spec.session_affinity_timeout);
      });
    });
    f.read("internalTrafficPolicy", spec.internal_traffic_policy);
    f.read("trafficDistribution", spec.traffic_distribution);
  });
  fields.object("status", [&](JsonFields& status) {
    std::vector<std::string> clusters;
    status.list("clusters", clusters, [](JsonFields& f) {
      std::string cluster;
      f.require("cluster", cluster);
      return cluster;
    });
    object.status.clusters = std::move(clusters);
    read_conditions(status, object.status.conditions);
    status.read("endpointSliceObjects", object.status.endpoint_slice_objects);
  });
  if (problem) return fail(*problem);
  return object;
}

template <>
json encode(const ServiceImport& object) {
  auto out = envelope(Kind::kServiceImport, object.meta);
  const auto& from = object.spec;
  auto& spec = out["spec"];
  spec["type"] = from.type;
  spec["ports"] = json_list(from.ports);
  put_unless_empty(spec, "ips", from.ips);
  put_unless_empty(spec, "ipFamilies", from.ip_families);
  put_unless_empty(spec, "sessionAffinity", from.session_affinity);
  if (from.session_affinity_timeout) {
    spec["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"] = *from.session_affinity_timeout;
  }
  put_unless_empty(spec, "internalTrafficPolicy", from.internal_traffic_policy);
  put_unless_empty(spec, "trafficDistribution", from.traffic_distribution);
  if (object.status == ServiceImport::Status{}) return out;
  auto& status = out["status"];
  status["clusters"] = json::array();
  for (const auto& cluster : object.status.clusters) {
    status["clusters"].push_back({{"cluster", cluster}});
  }
  put_unless_empty(status, "conditions", to_json(object.status.conditions));
  put_unless_empty(status, "endpointSliceObjects", object.status.endpoint_slice_objects);
  return out;
}

}  // namespace cw::api
