// Kubernetes v1 Service: the parts that exporting and importing need.
#pragma once

#include <optional>

#include "api/types/meta.h"
#include "base/prefix.h"

namespace cw::api {

struct ServicePort {
  std::string name;              // may be empty if it is the only one
  std::string protocol = "TCP";  // TCP, UDP, SCTP
  std::string app_protocol;
  std::uint16_t port = 0;
  std::string target_port;  // number or name; empty: same as port
  friend auto operator<=>(const ServicePort&, const ServicePort&) = default;
};

// What a cloud's load balancer was given: an address, a name, or both.
struct LoadBalancerIngress {
  std::string ip;
  std::string hostname;
  friend bool operator==(const LoadBalancerIngress&, const LoadBalancerIngress&) = default;
};

struct Service {
  static constexpr Kind kKind = Kind::kService;
  struct Spec {
    std::string type = "ClusterIP";        // ClusterIP, NodePort, LoadBalancer, ExternalName
    std::vector<std::string> cluster_ips;  // {"None"}: headless
    std::vector<std::string> ip_families;  // "IPv4", "IPv6"
    std::string ip_family_policy;          // empty, SingleStack, PreferDualStack, RequireDualStack
    std::vector<ServicePort> ports;
    std::vector<std::uint16_t> node_ports;  // in the order of `ports`, 0: none; empty: none at all
    std::map<std::string, std::string> selector;
    std::string session_affinity = "None";                 // None, ClientIP
    std::optional<std::int32_t> session_affinity_timeout;  // seconds
    std::string internal_traffic_policy;                   // empty, Cluster, Local
    std::string traffic_distribution;
    bool publish_not_ready_addresses = false;
    [[nodiscard]] bool headless() const {
      return cluster_ips.size() == 1 && cluster_ips.front() == "None";
    }
    friend bool operator==(const Spec&, const Spec&) = default;
  };
  ObjectMeta meta;
  Spec spec;
  std::vector<LoadBalancerIngress> ingress;  // status.loadBalancer.ingress
  friend bool operator==(const Service&, const Service&) = default;
};

// The addresses among a Service's cluster IPs ("None" is no address).
[[nodiscard]] inline std::vector<IpAddress> addresses_of(const std::vector<std::string>& ips) {
  std::vector<IpAddress> out;
  for (const auto& text : ips) {
    if (const auto address = IpAddress::parse(text)) out.push_back(*address);
  }
  return out;
}

}  // namespace cw::api
