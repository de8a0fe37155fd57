// Parses the head of an HTTP/1 request, as far as the status endpoint needs it. The input is
// untrusted.
#pragma once

#include <optional>
#include <string_view>

#include "base/error.h"

namespace cw {

inline constexpr std::size_t kMaxRequestHead = 8192;

struct HttpRequest {
  bool head = false;      // HEAD: the answer has no body
  std::string_view path;  // points into the input; without the query
};

// No value: the head is not complete yet. kInvalid: it is not a GET or HEAD request. kTooLarge: it
// exceeds kMaxRequestHead.
[[nodiscard]] Result<std::optional<HttpRequest>> parse_http_request(std::string_view input);

}  // namespace cw
