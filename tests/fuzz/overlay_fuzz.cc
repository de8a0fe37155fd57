// Any bytes as the version and the kind of overlay that another node publishes.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "routeagent/node/overlay.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace node = cw::routeagent;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto line = text.find('\n');
  node::OverlaySide theirs;
  theirs.version = text.substr(0, line);
  if (line != std::string_view::npos) theirs.mode = text.substr(line + 1);
  const auto version = node::parse_overlay_version(theirs.version);
  if (version) CW_CHECK(node::parse_overlay_version(to_string(*version)) == version);
  const auto mode = node::parse_overlay_mode(theirs.mode);
  if (mode) CW_CHECK(to_string(*mode) == theirs.mode);
  // Frames are exchanged only with a node of this major version and this mode.
  const node::OverlaySide ours;
  const bool alike =
      version && version->major == node::kOverlayVersion.major && theirs.mode == ours.mode;
  CW_CHECK(alike == !node::difference("worker-1", ours, theirs));
  return 0;
}
