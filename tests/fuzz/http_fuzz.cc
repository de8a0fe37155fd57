// The head of a request to the status endpoint: any bytes, whole or in parts.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/http_request.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {  // NOLINT
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const auto whole = cw::parse_http_request(input);
  if (whole && *whole) {
    // A complete head means the same whatever follows it.
    CW_CHECK((*whole)->path.find(' ') == std::string_view::npos);
    CW_CHECK(size <= cw::kMaxRequestHead || input.find("\r\n\r\n") < cw::kMaxRequestHead);
  }
  (void)cw::parse_http_request(input.substr(0, size / 2));
  return 0;
}
