// YAML <-> JSON for resource files and for output, in the subset that Kubernetes accepts:
// YAML 1.2's JSON types, and quoted scalars are strings. Refused: several documents, aliases, tags,
// duplicate keys. At most 1 MiB and 64 levels.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/error.h"

namespace cw::api {

// Error texts are "name:line: what is wrong".
[[nodiscard]] Result<nlohmann::json> parse_yaml(std::string_view text, const std::string& name);
// Block style, with the keys in the order of the value. A string is quoted if a YAML reader could
// take it for another type.
[[nodiscard]] std::string to_yaml(const nlohmann::json& value);
[[nodiscard]] std::string to_yaml(const nlohmann::ordered_json& value);

}  // namespace cw::api
