// causeway.dev/v1alpha1 RouteAgent: one node's route agent. The spec has the key by which gateways
// know the node. The status tells what the agent chose and programmed. It has the node's name, and
// the agent writes it.
#pragma once

#include <optional>

#include "api/types/meta.h"
#include "base/prefix.h"

namespace cw::api {

struct ChosenGateway {
  std::string cluster;        // remote cluster id
  std::int64_t ordinal = -1;  // the local gateway that carries it; -1: none (unreachable)
  std::string reason;         // "home of ...", "gateway 0 is down", ...
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
  // The node's side of the link between nodes and gateways (docs/protocol/datapath.md).
  struct Overlay {
    std::string version;     // "MAJOR.MINOR"; a node with another major number refuses it
    std::string mode;        // "vxlan", "wireguard"
    std::uint16_t port = 0;  // UDP port of the node's WireGuard device; 0: it has none
    friend bool operator==(const Overlay&, const Overlay&) = default;
  };
  struct Spec {
    std::string node;        // the Node's name, which is also the object's name
    std::string public_key;  // base64 X25519; identifies the node to gateways
    std::optional<Overlay> overlay = {};
    friend bool operator==(const Spec&, const Spec&) = default;
  };
  struct Status {
    std::vector<ChosenGateway> chosen;
    std::vector<GatewayProbe> gateways;
    std::uint32_t routes = 0;           // programmed now
    std::vector<std::string> errors;    // failed steps of the last pass
    std::vector<Condition> conditions;  // Ready, OverlayAgrees, HostServed
    // Clusters whose prefixes this node sends only through Causeway's devices, until they are
    // unpaired.
    std::vector<std::string> closed = {};
    friend bool operator==(const Status&, const Status&) = default;
  };
  ObjectMeta meta;
  Spec spec;
  Status status;
  friend bool operator==(const RouteAgent&, const RouteAgent&) = default;
};

}  // namespace cw::api
