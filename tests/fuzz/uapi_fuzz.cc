// UAPI text on both sides. Any bytes give a value or an error. A parsed reply is written so that it
// reads the same.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "tunnel/uapi/codec.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {  // NOLINT
  using namespace cw::tunnel;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)uapi::decode_request(text);
  (void)uapi::decode_set_reply(text);
  const auto status = uapi::decode_get(text);
  if (!status) return 0;
  const auto again = uapi::decode_get(uapi::encode_get(Key(), *status, {}));
  CW_CHECK(again.has_value() && again->peers.size() == status->peers.size());
  return 0;
}
