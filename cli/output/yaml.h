// JSON values as block-style YAML, with the keys in the order of the value. Pure.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace cw::cli {

// A string is quoted if a YAML reader could take it for another type.
[[nodiscard]] std::string to_yaml(const nlohmann::json& value);
[[nodiscard]] std::string to_yaml(const nlohmann::ordered_json& value);

}  // namespace cw::cli
