// JSON of Service ports and slice ports, shared by the codecs of the kinds that have them.
#pragma once

#include "api/types/endpoint_slice.h"
#include "api/types/json_fields.h"
#include "api/types/service.h"

namespace cw::api {

[[nodiscard]] ServicePort read_service_port(JsonFields& f);
[[nodiscard]] nlohmann::json to_json(const ServicePort& port);
[[nodiscard]] SlicePort read_slice_port(JsonFields& f);
[[nodiscard]] nlohmann::json to_json(const SlicePort& port);

template <typename T>
[[nodiscard]] nlohmann::json json_list(const std::vector<T>& values) {
  auto out = nlohmann::json::array();
  for (const auto& value : values) out.push_back(to_json(value));
  return out;
}

}  // namespace cw::api
