// causeway.dev/v1alpha1 RouteAgent: one node's route agent. The spec says by which key the node is
// known, the status what the agent chose and programmed. Named after the node, written by the
// agent.
#pragma once

#include <optional>

#include "api/types/meta.h"
#include "base/prefix.h"

namespace cw::api {

struct ChosenGateway {
  std::string cluster;        // remote cluster id
  std::int64_t ordinal = -1;  // local gateway that carries it; -1: none (unreachable)
  std::string reason;         // "home", "gateway 0 is down", ...
  WallTime since{};
  friend bool operator==(const ChosenGateway&, const ChosenGateway&) = default;
};

struct GatewayProbe {
  std::uint32_t ordinal = 0;
  std::string state;  // "up", "down", "draining", "self"
  double rtt_ms = 0;
  double loss = 0;
  friend bool operator==(const GatewayProbe&, const GatewayProbe&) = default;
};

struct RouteAgent {
  static constexpr Kind kKind = Kind::kRouteAgent;
  // The node's side of the hop between nodes and gateways (docs/protocol/datapath.md).
  struct Overlay {
    std::string version;     // "MAJOR.MINOR"; other nodes refuse another major number
    std::string mode;        // "vxlan", "wireguard"
    std::uint16_t port = 0;  // UDP, of its WireGuard device; 0: it has none
    friend bool operator==(const Overlay&, const Overlay&) = default;
  };
  struct Spec {
    std::string node;        // Node name; the object's own name
    std::string public_key;  // base64 X25519; gateways know the node by it
    std::optional<Overlay> overlay = {};
    friend bool operator==(const Spec&, const Spec&) = default;
  };
  struct Status {
    std::vector<ChosenGateway> chosen;
    std::vector<GatewayProbe> gateways;
    std::uint32_t routes = 0;           // programmed now
    std::vector<std::string> errors;    // failed steps of the last pass
    std::vector<Condition> conditions;  // Ready, OverlayAgrees, HostServed
    // Clusters whose prefixes this node holds back from every device but ours, until unpaired.
    std::vector<std::string> closed = {};
    friend bool operator==(const Status&, const Status&) = default;
  };
  ObjectMeta meta;
  Spec spec;
  Status status;
  friend bool operator==(const RouteAgent&, const RouteAgent&) = default;
};

}  // namespace cw::api
