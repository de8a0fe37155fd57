// Any bytes as discovery's file of its last known table: refused or served.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "discovery/dns/table.h"
#include "discovery/last_known.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cw::discovery;
  const auto known = parse_last_known({reinterpret_cast<const char*>(data), size});
  if (!known) return 0;
  // A file that was read is written so that it reads the same.
  const auto text = last_known_text(*known);
  const auto again = parse_last_known(text);
  CW_CHECK(again && last_known_text(*again) == text);
  ViewBook book(std::chrono::hours(24));
  fill(book, *known);
  dns::TableBuilder tables({});
  for (const auto& key : book.update(cw::WallTime(std::chrono::hours(500'000)))) {
    const auto at = book.view().services.find(key);
    if (at != book.view().services.end()) tables.put({at->second.merged, at->second.stale, {}});
  }
  CW_CHECK(tables.build(1)->ready());
  return 0;
}
