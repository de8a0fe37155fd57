// Kubernetes v1 Secret, with its data decoded from base64. Never logged.
#pragma once

#include "api/types/meta.h"

namespace cw::api {

struct Secret {
  static constexpr Kind kKind = Kind::kSecret;
  ObjectMeta meta;
  std::map<std::string, std::string> data;  // raw bytes
  friend bool operator==(const Secret&, const Secret&) = default;
};

}  // namespace cw::api
