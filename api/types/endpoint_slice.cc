#include "api/names.h"
#include "api/types/object_codec.h"

namespace cw::api {

static void fields(JsonFields& f, EndpointSlice& slice) {
  f.always("addressType", slice.address_type);
  // The endpoints of FQDN slices are names, and names cannot be routed.
  const bool routable = slice.address_type == "IPv4" || slice.address_type == "IPv6";
  f.want(routable || slice.address_type == "FQDN", "addressType", "want IPv4, IPv6 or FQDN");
  f.list("endpoints", slice.endpoints, [&](JsonFields& e, SliceEndpoint& endpoint) {
    if (routable) e.always("addresses", endpoint.addresses);
    e.optional("hostname", endpoint.hostname);
    e.optional("nodeName", endpoint.node);
    e.optional("zone", endpoint.zone);
    e.object("conditions", [&](JsonFields& conditions) {
      conditions.optional("ready", endpoint.ready);
      conditions.optional("serving", endpoint.serving);
      conditions.optional("terminating", endpoint.terminating);
    });
    e.object("targetRef", [&](JsonFields& target) {
      std::string kind = endpoint.pod.empty() ? "" : "Pod";
      target.optional("kind", kind);
      if (kind == "Pod") target.always("name", endpoint.pod);
    });
  });
  f.always("ports", slice.ports);
}
template Result<EndpointSlice> decode(const nlohmann::json& body);
template nlohmann::json encode(const EndpointSlice& object);

bool of_api_server(const EndpointSlice& slice) {
  const auto label = slice.meta.labels.find(std::string(kServiceNameLabel));
  return slice.meta.key.ns == "default" && label != slice.meta.labels.end() &&
         label->second == "kubernetes";
}

}  // namespace cw::api
