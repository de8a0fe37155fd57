// Any bytes as the file in which a route agent says which clusters its host reaches.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/reach.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto reach = cw::parse_reach({reinterpret_cast<const char*>(data), size});
  if (!reach) return 0;
  const auto again = cw::parse_reach(cw::reach_text(*reach));
  CW_CHECK(again && *again == *reach);
  return 0;
}
