// discovery.k8s.io/v1 EndpointSlice. Labels: kubernetes.io/service-name on a cluster's own slices,
// multicluster.kubernetes.io/{service-name,source-cluster} on imported ones.
#pragma once

#include <optional>

#include "api/types/meta.h"
#include "base/prefix.h"

namespace cw::api {

struct SliceEndpoint {
  std::vector<IpAddress> addresses;
  std::string hostname;
  std::string node;
  std::string zone;
  std::optional<bool> ready;  // absent means true
  // absent means the same as ready (KEP-1672); stays true while a ready Pod terminates
  std::optional<bool> serving{};
  std::optional<bool> terminating{};  // absent means false
  std::string pod{};                  // the name of its Pod; empty: it is no Pod
  [[nodiscard]] bool is_ready() const { return ready.value_or(true); }
  [[nodiscard]] bool is_serving() const { return serving.value_or(is_ready()); }
  [[nodiscard]] bool is_terminating() const { return terminating.value_or(false); }
  friend bool operator==(const SliceEndpoint&, const SliceEndpoint&) = default;
};

struct SlicePort {
  std::string name;
  std::string protocol = "TCP";
  std::string app_protocol;
  std::uint16_t port = 0;
  friend auto operator<=>(const SlicePort&, const SlicePort&) = default;
};

struct EndpointSlice {
  static constexpr Kind kKind = Kind::kEndpointSlice;
  ObjectMeta meta;
  std::string address_type = "IPv4";  // IPv4, IPv6
  std::vector<SliceEndpoint> endpoints;
  std::vector<SlicePort> ports;
  friend bool operator==(const EndpointSlice&, const EndpointSlice&) = default;
};

// True: the slice holds the addresses of this cluster's API server, as it belongs to the Service
// default/kubernetes.
[[nodiscard]] bool of_api_server(const EndpointSlice& slice);

}  // namespace cw::api
