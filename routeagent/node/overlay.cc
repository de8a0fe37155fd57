#include "routeagent/node/overlay.h"

#include <fmt/format.h>

#include <charconv>

namespace cw::routeagent {

std::optional<OverlayMode> parse_overlay_mode(std::string_view text) {
  if (text == "vxlan") return OverlayMode::kVxlan;
  if (text == "wireguard") return OverlayMode::kWireguard;
  return std::nullopt;
}

std::string to_string(OverlayMode mode) {
  return mode == OverlayMode::kVxlan ? "vxlan" : "wireguard";
}

std::optional<OverlayVersion> parse_overlay_version(std::string_view text) {
  OverlayVersion version;
  const auto* end = text.data() + text.size();
  const auto major = std::from_chars(text.data(), end, version.major);
  if (major.ec != std::errc{} || major.ptr == end || *major.ptr != '.') return std::nullopt;
  const auto minor = std::from_chars(major.ptr + 1, end, version.minor);
  if (minor.ec != std::errc{} || minor.ptr != end) return std::nullopt;
  return version;
}

std::string to_string(OverlayVersion version) {
  return fmt::format("{}.{}", version.major, version.minor);
}

std::optional<LeftOut> difference(const std::string& node, const OverlaySide& ours,
                                  const std::optional<OverlaySide>& theirs) {
  if (!theirs) return std::nullopt;
  const auto own = parse_overlay_version(ours.version);
  const auto other = parse_overlay_version(theirs->version);
  if (!own || !other || own->major != other->major) {
    return LeftOut{node, "version " + theirs->version, "version " + ours.version,
                   fmt::format("node {} speaks overlay version {}, this node {}: no traffic "
                               "passes between them; install the same release on both",
                               node, theirs->version, ours.version)};
  }
  if (ours.mode == theirs->mode) return std::nullopt;
  return LeftOut{node, theirs->mode, ours.mode,
                 fmt::format("node {} has overlay {}, this node {}: no traffic passes between "
                             "them; set the same on both",
                             node, theirs->mode, ours.mode)};
}

}  // namespace cw::routeagent
