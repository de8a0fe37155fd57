// Base64 (RFC 4648, padded), the form in which Secrets hold bytes.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace cw::api {

[[nodiscard]] std::string encode_base64(std::string_view bytes);
// Strict: padding is required, white space is refused (kInvalid).
[[nodiscard]] Result<std::string> decode_base64(std::string_view text);

}  // namespace cw::api
