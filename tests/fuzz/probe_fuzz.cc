// A probe datagram. Any bytes give a probe or an error. A parsed probe serializes to a datagram
// that parses to the same, and so do its claims. The bytes are read as they are and once more with
// a valid tag: without one the code behind the tag would never run.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "homing/probe_claims.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {  // NOLINT
  using namespace cw::tunnel;
  const auto given = std::as_bytes(std::span(data, size));
  std::vector<std::byte> bytes(given.begin(), given.end());
  const ProbeKey key{};
  const auto foreign = foreign_version(bytes);
  const auto envelope = parse_envelope(bytes);
  CW_CHECK(!foreign || !envelope);
  (void)parse_probe(bytes, key);
  if (bytes.size() < kMinProbe) return 0;
  seal_probe(bytes, key);
  const auto probe = parse_probe(bytes, key);
  if (!probe) return 0;
  CW_CHECK(envelope && envelope->asker == probe->asker && envelope->reply == probe->reply);
  const auto again = parse_probe(serialize(*probe, key), key);
  CW_CHECK(again.has_value() && *again == *probe);
  auto copy = *probe;
  CW_CHECK(cw::homing::extensions_behind(*probe).size() <= probe->extra.bytes.size());
  const auto claims = cw::homing::claims_of(*probe);
  cw::homing::put_claims(claims, copy);
  CW_CHECK(cw::homing::claims_of(copy) == claims);
  return 0;
}
