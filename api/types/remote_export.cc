#include "api/types/codec.h"
#include "api/types/ports.h"

namespace cw::api {

using nlohmann::json;

namespace {

void read_record(JsonFields& f, ExportRecord& record) {
  f.require("cluster", record.cluster);
  if (!is_dns_label(record.cluster)) f.wrong("cluster", "want a DNS label");
  f.require("service", record.service.name);
  f.read("exportedAt", record.exported_at);
  f.read("headless", record.headless);
  f.list("ports", record.ports, read_service_port);
  // The previous minor version reads and writes only targetPorts.
  PortSet only;
  f.list("targetPorts", only, read_slice_port);
  f.list("portSets", record.port_sets, [](JsonFields& set) {
    PortSet ports;
    set.list("ports", ports, read_slice_port);
    return ports;
  });
  if (record.port_sets.empty() && !only.empty()) record.port_sets.push_back(std::move(only));
  f.read("clusterIPs", record.cluster_ips);
  f.read("ipFamilies", record.ip_families);
  f.read("sessionAffinity", record.session_affinity);
  f.read("sessionAffinityTimeout", record.session_affinity_timeout);
  f.read("internalTrafficPolicy", record.internal_traffic_policy);
  f.read("trafficDistribution", record.traffic_distribution);
  f.read("labels", record.labels);
  f.read("annotations", record.annotations);
  f.list("endpoints", record.endpoints, [&record](JsonFields& e) {
    ExportEndpoint endpoint;
    e.read("addresses", endpoint.addresses);
    e.require("hostname", endpoint.hostname);
    e.read("zone", endpoint.zone);
    e.read("ready", endpoint.ready);
    endpoint.serving = endpoint.ready;
    e.read("serving", endpoint.serving);
    e.read("terminating", endpoint.terminating);
    e.read("portSet", endpoint.ports);
    if (endpoint.ports != 0 && endpoint.ports >= record.port_sets.size()) {
      e.wrong("portSet", "there is no such port set");
    }
    e.read("pod", endpoint.pod);
    return endpoint;
  });
}

json to_json(const PortSet& ports) { return {{"ports", json_list(ports)}}; }

json to_json(const ExportRecord& record) {
  json out{{"cluster", record.cluster},
           {"service", record.service.name},
           {"headless", record.headless},
           {"ports", json_list(record.ports)},
           {"sessionAffinity", record.session_affinity}};
  if (record.exported_at != WallTime{}) out["exportedAt"] = format_time(record.exported_at);
  if (!record.port_sets.empty()) out["targetPorts"] = json_list(record.port_sets.front());
  if (only_as_sets(record.port_sets)) {
    for (const auto& ports : record.port_sets) out["portSets"].push_back(to_json(ports));
  }
  put_unless_empty(out, "clusterIPs", record.cluster_ips);
  put_unless_empty(out, "ipFamilies", record.ip_families);
  if (record.session_affinity_timeout) {
    out["sessionAffinityTimeout"] = *record.session_affinity_timeout;
  }
  put_unless_empty(out, "internalTrafficPolicy", record.internal_traffic_policy);
  put_unless_empty(out, "trafficDistribution", record.traffic_distribution);
  put_unless_empty(out, "labels", record.labels);
  put_unless_empty(out, "annotations", record.annotations);
  out["endpoints"] = json::array();
  for (const auto& endpoint : record.endpoints) {
    json item{{"addresses", texts(endpoint.addresses)},
              {"hostname", endpoint.hostname},
              {"ready", endpoint.ready}};
    put_unless_empty(item, "zone", endpoint.zone);
    put_unless_empty(item, "pod", endpoint.pod);
    // JsonFields with the reader's default are omitted, so most endpoints are one line shorter
    // each.
    if (endpoint.serving != endpoint.ready) item["serving"] = endpoint.serving;
    if (endpoint.terminating) item["terminating"] = true;
    if (endpoint.ports != 0) item["portSet"] = endpoint.ports;
    out["endpoints"].push_back(std::move(item));
  }
  return out;
}

}  // namespace

template <>
Result<RemoteExport> decode(const json& body) {
  std::optional<Error> problem;
  RemoteExport remote;
  remote.meta = decode_meta(body, problem);
  JsonFields fields(body, "", problem);
  if (!fields.has("spec")) fields.wrong("spec", "is missing");
  fields.object("spec", [&](JsonFields& f) {
    read_record(f, remote.spec);
    f.read("keptOut", remote.kept_out);
  });
  remote.spec.service.ns = remote.meta.key.ns;
  if (problem) return fail(*problem);
  return remote;
}

template <>
json encode(const RemoteExport& remote) {
  auto out = envelope(Kind::kRemoteExport, remote.meta);
  out["spec"] = to_json(remote.spec);
  if (remote.kept_out) out["spec"]["keptOut"] = true;
  return out;
}

}  // namespace cw::api
