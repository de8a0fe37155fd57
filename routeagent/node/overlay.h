// What two nodes must agree on before they exchange frames on cw-vx: the overlay's version and
// mode. A node publishes its side in RouteAgent.spec.overlay (docs/protocol/datapath.md, "Which
// nodes exchange frames"). Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "netlink/owner.h"

namespace cw::routeagent {

// How frames travel between nodes and gateways.
enum class OverlayMode { kVxlan, kWireguard };
[[nodiscard]] std::optional<OverlayMode> parse_overlay_mode(std::string_view text);
[[nodiscard]] std::string to_string(OverlayMode mode);

// The major number counts what both ends must do alike: how MACs, the VNI and the addresses on
// cw-nd are derived, which packet is inside which. The minor one counts what the other end may
// ignore.
struct OverlayVersion {
  std::uint16_t major = 0;
  std::uint16_t minor = 0;
  friend bool operator==(const OverlayVersion&, const OverlayVersion&) = default;
};
inline constexpr OverlayVersion kOverlayVersion{1, 0};
// "1.0"; none for other texts.
[[nodiscard]] std::optional<OverlayVersion> parse_overlay_version(std::string_view text);
[[nodiscard]] std::string to_string(OverlayVersion version);

// A node's side of the overlay.
struct OverlaySide {
  std::string version = to_string(kOverlayVersion);  // as published
  std::string mode = "vxlan";
  std::uint16_t port = netlink::kHopPort;  // UDP, of cw-nd
  friend bool operator==(const OverlaySide&, const OverlaySide&) = default;
};

// A node with which this one exchanges no frames although it should.
struct LeftOut {
  std::string node;
  std::string theirs;  // what differs: "version 2.0", "wireguard", "no key"
  std::string ours;
  std::string text;  // the sentence for status and log
  friend bool operator==(const LeftOut&, const LeftOut&) = default;
};

// Why `node` is left out; none: it takes part. A node that has published nothing yet (`theirs` is
// none) takes part: plain VXLAN needs nothing of it. With WireGuard, left_out() asks for its key.
[[nodiscard]] std::optional<LeftOut> difference(const std::string& node, const OverlaySide& ours,
                                                const std::optional<OverlaySide>& theirs);

}  // namespace cw::routeagent
