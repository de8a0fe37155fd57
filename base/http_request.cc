#include "base/http_request.h"

namespace cw {

Result<std::optional<HttpRequest>> parse_http_request(std::string_view input) {
  const auto end = input.find("\r\n\r\n");
  if (end == std::string_view::npos) {
    if (input.size() >= kMaxRequestHead) return fail(Errc::kTooLarge, "request head is too large");
    return std::optional<HttpRequest>();
  }
  if (end >= kMaxRequestHead) return fail(Errc::kTooLarge, "request head is too large");
  const auto line = input.substr(0, input.find("\r\n"));
  const auto first = line.find(' ');
  const auto second = first == line.npos ? line.npos : line.find(' ', first + 1);
  if (second == line.npos || line.substr(second + 1).rfind("HTTP/1.", 0) != 0) {
    return fail(Errc::kInvalid, "not an HTTP/1 request");
  }
  const auto method = line.substr(0, first);
  if (method != "GET" && method != "HEAD") return fail(Errc::kInvalid, "want GET or HEAD");
  auto path = line.substr(first + 1, second - first - 1);
  path = path.substr(0, path.find('?'));
  return std::optional(HttpRequest{method == "HEAD", path});
}

}  // namespace cw
