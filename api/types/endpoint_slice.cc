#include "api/names.h"
#include "api/types/codec.h"
#include "api/types/ports.h"

namespace cw::api {

using nlohmann::json;

template <>
Result<EndpointSlice> decode(const json& body) {
  std::optional<Error> problem;
  EndpointSlice slice;
  slice.meta = decode_meta(body, problem);
  JsonFields fields(body, "", problem);
  fields.read("addressType", slice.address_type);
  // The endpoints of FQDN slices are names, and names cannot be routed.
  const bool routable = slice.address_type == "IPv4" || slice.address_type == "IPv6";
  if (!routable && slice.address_type != "FQDN") {
    fields.wrong("addressType", "want IPv4, IPv6 or FQDN");
  }
  fields.list("endpoints", slice.endpoints, [&](JsonFields& f) {
    SliceEndpoint endpoint;
    if (routable) f.read("addresses", endpoint.addresses);
    f.read("hostname", endpoint.hostname);
    f.read("nodeName", endpoint.node);
    f.read("zone", endpoint.zone);
    f.object("conditions", [&](JsonFields& conditions) {
      conditions.read("ready", endpoint.ready);
      conditions.read("serving", endpoint.serving);
      conditions.read("terminating", endpoint.terminating);
    });
    f.object("targetRef", [&](JsonFields& target) {
      std::string kind;
      target.read("kind", kind);
      if (kind == "Pod") target.read("name", endpoint.pod);
    });
    return endpoint;
  });
  fields.list("ports", slice.ports, read_slice_port);
  if (problem) return fail(*problem);
  return slice;
}

template <>
json encode(const EndpointSlice& slice) {
  auto out = envelope(Kind::kEndpointSlice, slice.meta);
  out["addressType"] = slice.address_type;
  out["ports"] = json_list(slice.ports);
  out["endpoints"] = json::array();
  for (const auto& endpoint : slice.endpoints) {
    json item{{"addresses", texts(endpoint.addresses)}};
    put_unless_empty(item, "hostname", endpoint.hostname);
    put_unless_empty(item, "nodeName", endpoint.node);
    put_unless_empty(item, "zone", endpoint.zone);
    if (endpoint.ready) item["conditions"]["ready"] = *endpoint.ready;
    if (endpoint.serving) item["conditions"]["serving"] = *endpoint.serving;
    if (endpoint.terminating) item["conditions"]["terminating"] = *endpoint.terminating;
    if (!endpoint.pod.empty()) item["targetRef"] = {{"kind", "Pod"}, {"name", endpoint.pod}};
    out["endpoints"].push_back(std::move(item));
  }
  return out;
}

bool of_api_server(const EndpointSlice& slice) {
  const auto label = slice.meta.labels.find(std::string(kServiceNameLabel));
  return slice.meta.key.ns == "default" && label != slice.meta.labels.end() &&
         label->second == "kubernetes";
}

}  // namespace cw::api
