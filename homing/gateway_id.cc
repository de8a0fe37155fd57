#include "homing/gateway_id.h"

#include <fmt/format.h>

#include <charconv>
#include <utility>

namespace cw::homing {

std::string target_name(const GatewayId& id) {
  return fmt::format("{}/{}", id.cluster, id.ordinal);
}

std::optional<GatewayId> gateway_of(std::string_view target) {
  const auto slash = target.rfind('/');
  if (slash == std::string_view::npos) return std::nullopt;
  GatewayId id{std::string(target.substr(0, slash)), 0};
  const auto* end = target.data() + target.size();
  const auto [stop, status] = std::from_chars(target.data() + slash + 1, end, id.ordinal);
  return status == std::errc{} && stop == end ? std::optional(std::move(id)) : std::nullopt;
}

}  // namespace cw::homing
