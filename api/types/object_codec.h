// decode() and encode() of codec.h, made of a kind's fields(). Each kind's file instantiates both
// after its fields(). Only for the codecs in this folder.
#pragma once

#include "api/types/codec.h"
#include "api/types/json_fields.h"

namespace cw::api {

void fields(JsonFields& f, ServicePort& port);
void fields(JsonFields& f, SlicePort& port);
// sessionAffinityConfig of Services and ServiceImports.
void affinity_timeout(JsonFields& f, std::optional<std::int32_t>& seconds);

template <typename T>
Result<T> decode(const nlohmann::json& body) {
  std::optional<Error> problem;
  T object;
  object.meta = decode_meta(body, problem);
  JsonFields f(body, "", problem);
  fields(f, object);
  if (problem) return fail(*problem);
  return object;
}

template <typename T>
nlohmann::json encode(const T& object) {
  nlohmann::json out{{"apiVersion", info(T::kKind).api_version}, {"kind", info(T::kKind).name}};
  JsonFields f(out);
  auto copy = object;  // one list of fields serves both directions, so its record is no constant
  f.always("metadata", copy.meta);
  fields(f, copy);
  return out;
}

}  // namespace cw::api
