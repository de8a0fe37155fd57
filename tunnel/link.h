// The one thing drivers need of rtnetlink: removing their own device, and only theirs.
#pragma once

#include <optional>
#include <string>

#include "base/error.h"

namespace cw::tunnel {

// The link's kind ("wireguard", "tun", "" for none); nothing if there is no such link.
[[nodiscard]] Result<std::optional<std::string>> link_kind(const std::string& name);
// Success if it is not there; kExists if it is of another kind than `kind`.
[[nodiscard]] Result<> remove_link(const std::string& name, const std::string& kind);

}  // namespace cw::tunnel
