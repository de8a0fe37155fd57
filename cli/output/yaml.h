// JSON values as block-style YAML, keys in the order they stand in. Pure.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace cw::cli {

// Strings are quoted wherever a YAML reader could take them for something else.
[[nodiscard]] std::string to_yaml(const nlohmann::json& value);
[[nodiscard]] std::string to_yaml(const nlohmann::ordered_json& value);

}  // namespace cw::cli
