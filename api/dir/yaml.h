// YAML <-> JSON for resource files, as Kubernetes reads it: YAML 1.2's JSON types; quoted scalars
// are strings; several documents, aliases, tags and duplicate keys are refused. At most 1 MiB, 64
// deep.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/error.h"

namespace cw::api {

// Mistakes are "name:line: what".
[[nodiscard]] Result<nlohmann::json> parse_yaml(std::string_view text, const std::string& name);
[[nodiscard]] std::string to_yaml(const nlohmann::json& json);

}  // namespace cw::api
