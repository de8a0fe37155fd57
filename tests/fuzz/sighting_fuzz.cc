// The extension part of a probe between gateways. Any bytes give words within the limits. Words
// that were read are written and read as the same.
#include <cstddef>
#include <cstdint>
#include <span>

#include "gateway/peers/sighting_words.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {  // NOLINT
  using namespace cw::gateway;
  const auto words = sighting_words(std::as_bytes(std::span(data, size)));
  CW_CHECK(words.sought.size() <= kMaxSought && words.seen.size() <= kMaxSeen);
  CW_CHECK(sighting_words(extensions_of(words)) == words);
  return 0;
}
