// A daemon's configuration file: any bytes give a config or one problem, never a crash.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/config.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {  // NOLINT
  auto map = cw::ConfigMap::parse({reinterpret_cast<const char*>(data), size}, "fuzz");
  if (!map) return 0;
  std::string text;
  std::vector<cw::Contact> endpoints;
  std::chrono::nanoseconds interval{};
  bool flag = false;
  map->require("store", text);
  map->read("endpoints", endpoints);
  map->read_map("log", [&](cw::ConfigMap& log) {
    log.read("level", text);
    log.read("json", flag);
  });
  map->read_map("probe", [&](cw::ConfigMap& probe) { probe.read("interval", interval); });
  (void)map->finish();  // any result is fine
  return 0;
}
