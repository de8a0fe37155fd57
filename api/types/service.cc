#include <algorithm>
#include <utility>

#include "api/types/object_codec.h"

namespace cw::api {

namespace {

void want_protocol(JsonFields& f, const std::string& protocol) {
  f.want(protocol == "TCP" || protocol == "UDP" || protocol == "SCTP", "protocol",
         "want TCP, UDP or SCTP");
}

}  // namespace

void fields(JsonFields& f, ServicePort& port) {
  f.optional("name", port.name);
  f.always("protocol", port.protocol);
  f.optional("appProtocol", port.app_protocol);
  f.always("port", port.port);
  f.int_or_string("targetPort", port.target_port);
  want_protocol(f, port.protocol);
  f.want(port.port != 0, "port", "want a number from 1 to 65535");
}

void fields(JsonFields& f, SlicePort& port) {
  f.always("name", port.name);
  f.always("protocol", port.protocol);
  f.optional("appProtocol", port.app_protocol);
  f.always("port", port.port);
  want_protocol(f, port.protocol);
}

void affinity_timeout(JsonFields& f, std::optional<std::int32_t>& seconds) {
  f.object("sessionAffinityConfig", [&](JsonFields& config) {
    config.object("clientIP", [&](JsonFields& c) { c.optional("timeoutSeconds", seconds); });
  });
}

// Node ports are no part of ServicePort: two clusters that export one Service have different ones.
static void port_fields(JsonFields& f, Service::Spec& spec) {
  if (f.reading()) spec.node_ports.clear();
  std::size_t at = 0;
  f.list("ports", spec.ports, [&](JsonFields& one, ServicePort& port) {
    fields(one, port);
    auto node_port = at < spec.node_ports.size() ? spec.node_ports[at] : std::uint16_t{0};
    one.optional("nodePort", node_port);
    if (one.reading()) spec.node_ports.push_back(node_port);
    ++at;
  });
  const auto none = std::count(spec.node_ports.begin(), spec.node_ports.end(), 0);
  if (std::cmp_equal(none, spec.node_ports.size())) spec.node_ports.clear();
}

static void fields(JsonFields& f, Service::Spec& spec) {
  f.always("type", spec.type);
  f.optional("clusterIPs", spec.cluster_ips);
  if (!f.reading() || spec.cluster_ips.empty()) {  // hand-written files may have only clusterIP
    std::string first = spec.cluster_ips.empty() ? "" : spec.cluster_ips.front();
    f.optional("clusterIP", first);
    if (spec.cluster_ips.empty() && !first.empty()) spec.cluster_ips.push_back(first);
  }
  f.optional("ipFamilies", spec.ip_families);
  f.optional("ipFamilyPolicy", spec.ip_family_policy);
  port_fields(f, spec);
  f.optional("selector", spec.selector);
  f.always("sessionAffinity", spec.session_affinity);
  affinity_timeout(f, spec.session_affinity_timeout);
  f.optional("internalTrafficPolicy", spec.internal_traffic_policy);
  f.optional("trafficDistribution", spec.traffic_distribution);
  f.optional("publishNotReadyAddresses", spec.publish_not_ready_addresses);
}

static void fields(JsonFields& f, LoadBalancerIngress& ingress) {
  f.optional("ip", ingress.ip);
  f.optional("hostname", ingress.hostname);
}

static void fields(JsonFields& f, Service& service) {
  f.always("spec", service.spec);
  f.object("status", [&](JsonFields& status) {
    status.object("loadBalancer",
                  [&](JsonFields& balancer) { balancer.optional("ingress", service.ingress); });
  });
}
template Result<Service> decode(const nlohmann::json& body);
template nlohmann::json encode(const Service& object);

}  // namespace cw::api
