// The part of rtnetlink that drivers need: removing their own device, and only that one.
#pragma once

#include <optional>
#include <string>

#include "base/error.h"

namespace cw::tunnel {

// The link's kind ("wireguard", "tun", "" for none). Nothing if there is no such link.
[[nodiscard]] Result<std::optional<std::string>> link_kind(const std::string& name);
// Removes the link. Success if there is no such link. kExists: its kind is not `kind`.
[[nodiscard]] Result<> remove_link(const std::string& name, const std::string& kind);

}  // namespace cw::tunnel
