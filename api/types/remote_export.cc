#include "api/types/object_codec.h"

namespace cw::api {

namespace {

void endpoint_fields(JsonFields& f, ExportEndpoint& endpoint, std::size_t port_sets) {
  f.always("addresses", endpoint.addresses);
  f.required("hostname", endpoint.hostname);
  f.optional("zone", endpoint.zone);
  f.always("ready", endpoint.ready);
  // The default of `serving` is `ready`. A field with its default is left out, so most endpoints
  // are shorter.
  std::optional<bool> serving;
  if (!f.reading() && endpoint.serving != endpoint.ready) serving = endpoint.serving;
  f.optional("serving", serving);
  endpoint.serving = serving.value_or(endpoint.ready);
  f.optional("terminating", endpoint.terminating);
  f.optional("portSet", endpoint.ports);
  f.want(endpoint.ports == 0 || endpoint.ports < port_sets, "portSet", "there is no such port set");
  f.optional("pod", endpoint.pod);
}

// The previous minor version reads and writes only targetPorts: the first set.
void port_set_fields(JsonFields& f, std::vector<PortSet>& sets) {
  std::optional<PortSet> first;
  if (!sets.empty()) first = sets.front();
  f.optional("targetPorts", first);
  if (f.reading() || only_as_sets(sets)) {
    f.list("portSets", sets, [](JsonFields& item, PortSet& set) { item.always("ports", set); });
  }
  if (sets.empty() && first && !first->empty()) sets.push_back(std::move(*first));
}

}  // namespace

static void fields(JsonFields& f, ExportRecord& record) {
  f.required("cluster", record.cluster);
  f.want(is_dns_label(record.cluster), "cluster", "want a DNS label");
  f.required("service", record.service.name);
  f.optional("exportedAt", record.exported_at);
  f.always("headless", record.headless);
  f.always("ports", record.ports);
  port_set_fields(f, record.port_sets);
  f.optional("clusterIPs", record.cluster_ips);
  f.optional("ipFamilies", record.ip_families);
  f.always("sessionAffinity", record.session_affinity);
  f.optional("sessionAffinityTimeout", record.session_affinity_timeout);
  f.optional("internalTrafficPolicy", record.internal_traffic_policy);
  f.optional("trafficDistribution", record.traffic_distribution);
  f.optional("labels", record.labels);
  f.optional("annotations", record.annotations);
  f.list("endpoints", record.endpoints, [&](JsonFields& item, ExportEndpoint& endpoint) {
    endpoint_fields(item, endpoint, record.port_sets.size());
  });
}

static void fields(JsonFields& f, RemoteExport& remote) {
  f.want(f.has("spec"), "spec", "is missing");
  f.object("spec", [&](JsonFields& spec) {
    fields(spec, remote.spec);
    spec.optional("keptOut", remote.kept_out);
  });
  remote.spec.service.ns = remote.meta.key.ns;
}
template Result<RemoteExport> decode(const nlohmann::json& body);
template nlohmann::json encode(const RemoteExport& object);

}  // namespace cw::api
