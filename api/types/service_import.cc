#include "api/types/object_codec.h"

namespace cw::api {

static void fields(JsonFields& f, ServiceImport::Spec& spec) {
  f.required("type", spec.type);
  f.want(spec.type == "ClusterSetIP" || spec.type == "Headless", "type",
         "want ClusterSetIP or Headless");
  f.always("ports", spec.ports);
  f.optional("ips", spec.ips);
  f.optional("ipFamilies", spec.ip_families);
  f.optional("sessionAffinity", spec.session_affinity);
  affinity_timeout(f, spec.session_affinity_timeout);
  f.optional("internalTrafficPolicy", spec.internal_traffic_policy);
  f.optional("trafficDistribution", spec.traffic_distribution);
}

static void fields(JsonFields& f, ServiceImport::Status& status) {
  f.list("clusters", status.clusters,
         [](JsonFields& item, std::string& cluster) { item.required("cluster", cluster); });
  f.optional("conditions", status.conditions);
  f.optional("endpointSliceObjects", status.endpoint_slice_objects);
}

static void fields(JsonFields& f, ServiceImport& object) {
  f.required("spec", object.spec);
  f.optional("status", object.status);
}
template Result<ServiceImport> decode(const nlohmann::json& body);
template nlohmann::json encode(const ServiceImport& object);

}  // namespace cw::api
