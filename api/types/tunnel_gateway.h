// causeway.dev/v1alpha1 TunnelGateway: one gateway of this cluster, "gateway-<ordinal>". The
// gateway writes it itself.
#pragma once

#include "api/names.h"
#include "api/types/meta.h"
#include "base/contact.h"
#include "base/prefix.h"

namespace cw::api {

// One tunnel to one remote gateway, as the local gateway sees it.
struct TunnelStatus {
  std::string cluster;
  std::uint32_t ordinal = 0;
  std::string state;     // "up", "degraded", "down", "stuck", "connecting"
  std::string trouble;   // why it is not up, if known, e.g. another probe version
  std::string endpoint;  // in use now; empty: none yet
  double rtt_ms = 0;     // smoothed
  double jitter_ms = 0;
  double loss = 0;            // 0..1, over the last window of probes
  WallTime last_handshake{};  // zero: never
  std::uint64_t rx_bytes = 0;
  std::uint64_t tx_bytes = 0;
  std::vector<Prefix> allowed;  // prefixes placed at it now
  friend bool operator==(const TunnelStatus&, const TunnelStatus&) = default;
};

// How a remote gateway sees this one: the source of its packets, behind any NAT.
struct ObservedEndpoint {
  std::string by;  // "west/0"
  Endpoint endpoint;
  friend bool operator==(const ObservedEndpoint&, const ObservedEndpoint&) = default;
};

struct TunnelGateway {
  static constexpr Kind kKind = Kind::kTunnelGateway;
  struct Spec {
    std::uint32_t ordinal = 0;
    std::string node;                // Node name
    IpAddress node_ip;               // underlay address: the remote end of VXLAN
    std::string public_key;          // base64
    std::vector<Contact> endpoints;  // that are announced, best first
    IpAddress control_address;       // derived from the public key
    friend bool operator==(const Spec&, const Spec&) = default;
  };
  struct Status {
    std::string driver;  // "kernel", "engine", "uapi"
    bool draining = false;
    std::vector<Prefix> homed;  // local prefixes homed at this gateway, in its own view
    std::string prefix_source;  // where the prefixes of nodes stand: "calico", "node", ...
    std::vector<TunnelStatus> tunnels;
    std::vector<ObservedEndpoint> observed;  // by remote gateway
    std::vector<Condition> conditions;       // Ready, EndpointsKnown
    friend bool operator==(const Status&, const Status&) = default;
  };
  ObjectMeta meta;
  Spec spec;
  Status status;
  friend bool operator==(const TunnelGateway&, const TunnelGateway&) = default;
};

}  // namespace cw::api
