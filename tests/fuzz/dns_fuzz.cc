// A DNS message over UDP and TCP: any bytes give an answer within its limit, or none.
#include <array>
#include <cstddef>
#include <cstdint>

#include "base/error.h"
#include "discovery/dns/server.h"

namespace {

using namespace cw::discovery;

const dns::Table& table() {
  static const auto kTable = [] {
    auto record = std::make_shared<cw::api::ExportRecord>();
    record->cluster = "east";
    record->service = {"db", "pg"};
    record->headless = true;
    record->ports = {{"sql", "TCP", "", 5432, ""}};
    record->port_sets = {{{"sql", "TCP", "", 5432}}};
    for (unsigned i = 0; i < 200; ++i) {
      const auto low = static_cast<std::uint8_t>(i);
      std::array<std::uint8_t, 16> bytes{0xfd};
      bytes[15] = low;
      record->endpoints.push_back(
          {{cw::IpAddress::v4({10, 1, 0, low})}, "pg-" + std::to_string(i), "", true});
      record->endpoints.push_back(
          {{cw::IpAddress::v6(bytes)}, "pg-" + std::to_string(i), "", true});
    }
    dns::TableBuilder tables({});
    tables.put({std::make_shared<MergedService>(merge({Claimant{record}})), {}, {}});
    return *tables.build(1);
  }();
  return kTable;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {  // NOLINT
  static dns::Counters counters;
  static std::array<std::uint8_t, 65535> out;
  CW_CHECK(dns::respond(table(), {data, size}, {false, false, 3}, out, counters) <= 1232);
  const auto empty = dns::respond(table(), {data, size}, {false, true, 0}, out, counters);
  CW_CHECK(empty <= size);  // over the rate limit: no amplification
  (void)dns::respond(table(), {data, size}, {true, false, 0}, out, counters);  // as the buffer
  return 0;
}
