#include "gateway/own_endpoints.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>

#include "gateway/feed/statement.h"

namespace cw::gateway {
namespace {

// The place of the first UDP port: the tunnel's.
std::optional<std::size_t> udp_port(const api::Service& service) {
  const auto& ports = service.spec.ports;
  const auto at = std::find_if(ports.begin(), ports.end(),
                               [](const auto& port) { return port.protocol == "UDP"; });
  if (at == ports.end()) return std::nullopt;
  return static_cast<std::size_t>(at - ports.begin());
}

// ExternalIPs first if `outside`: the caller is not in the node's network.
std::vector<Contact> at_node(const api::Node* node, std::uint16_t port, bool outside) {
  std::vector<Contact> all;
  if (node == nullptr) return all;
  const auto* first = outside ? &node->external_ips : &node->internal_ips;
  const auto* second = outside ? &node->internal_ips : &node->external_ips;
  all.reserve(first->size() + second->size());
  for (const auto* list : {first, second}) {
    for (const auto& address : *list) all.emplace_back(Endpoint{address, port});
  }
  return all;
}

std::vector<Contact> at_balancer(const api::Service& service, std::uint16_t port) {
  std::vector<Contact> all;
  for (const auto& ingress : service.ingress) {
    for (const auto& host : {ingress.ip, ingress.hostname}) {
      if (host.empty()) continue;
      const bool v6 = host.find(':') != std::string::npos;
      const auto contact =
          Contact::parse(fmt::format(fmt::runtime(v6 ? "[{}]:{}" : "{}:{}"), host, port));
      if (contact) all.push_back(*contact);
    }
  }
  return all;
}

struct OfService {
  std::vector<Contact> endpoints;
  std::string reason;   // why there are none; empty: there are some
  std::string message;  // a sentence
};

OfService of_service(const Config& config, const api::Node* node, const api::Service* service) {
  const auto name = fmt::format("Service {}/{}", config.ns, config.service);
  if (service == nullptr) {
    return {{}, "ServiceMissing", name + " is missing. `helm upgrade` makes it"};
  }
  const auto at = udp_port(*service);
  if (!at) return {{}, "ServiceUnusable", name + " has no UDP port"};
  const auto& spec = service->spec;
  OfService found;
  if (spec.type == "LoadBalancer") {
    found.endpoints = at_balancer(*service, spec.ports[*at].port);
    if (!found.endpoints.empty()) return found;
    return {{},
            "ServicePending",
            name +
                " has no address from a load balancer yet. If it stays so, look at the Events of "
                "the Service: the cluster needs a controller for load balancers"};
  }
  if (spec.type != "NodePort") {
    return {{},
            "ServiceUnusable",
            fmt::format("{} is of type {}; want LoadBalancer or NodePort", name, spec.type)};
  }
  const auto node_port = *at < spec.node_ports.size() ? spec.node_ports[*at] : std::uint16_t{0};
  if (node_port == 0) return {{}, "ServicePending", name + " has no node port yet"};
  found.endpoints = at_node(node, node_port, true);
  return found;
}

void append_new(std::vector<Contact>& all, const std::vector<Contact>& more) {
  for (const auto& contact : more) {
    if (all.size() == kMaxAnnouncedEndpoints) return;
    if (std::find(all.begin(), all.end(), contact) == all.end()) all.push_back(contact);
  }
}

}  // namespace

OwnEndpoints own_endpoints(const Config& config, const api::Node* node,
                           const api::Service* service) {
  OwnEndpoints own;
  own.endpoints = config.endpoints;
  own.condition.type = kEndpointsKnown;
  own.condition.reason = "Configured";
  if (!config.service.empty()) {
    auto found = of_service(config, node, service);
    append_new(own.endpoints, found.endpoints);
    own.condition.reason = found.reason.empty() ? "Service" : found.reason;
    own.condition.message = std::move(found.message);
  } else if (config.endpoints.empty()) {
    append_new(own.endpoints, at_node(node, config.listen_port, false));
    own.condition.reason = "Node";
  }
  if (own.condition.message.empty() && own.endpoints.empty()) {
    own.condition.reason = "NoAddress";
    own.condition.message = fmt::format("Node {} has no address", config.node);
  }
  own.condition.status =
      own.condition.message.empty() ? api::ConditionStatus::kTrue : api::ConditionStatus::kFalse;
  return own;
}

}  // namespace cw::gateway
