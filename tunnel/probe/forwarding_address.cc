#include "tunnel/probe/forwarding_address.h"

#include <algorithm>
#include <array>

namespace cw::tunnel {

namespace {

// 240.0.0.0 to 254.255.255.255, so never the broadcast address.
IpAddress v4_of(const KeyDigest& digest) {
  return IpAddress::v4(
      {static_cast<std::uint8_t>(240 + digest[0] % 15), digest[1], digest[2], digest[3]});
}

}  // namespace

IpAddress probe_address(const Key& gateway, Family family) {
  if (family == Family::kV6) return control_address(gateway);
  return v4_of(digest_of("causeway probe address", {&gateway}));
}

IpAddress forwarding_address(const Key& gateway, const Key& remote, Family family) {
  const auto digest = digest_of("causeway through address", {&gateway, &remote});
  if (family == Family::kV4) return v4_of(digest);
  std::array<std::uint8_t, 16> bytes{0xfd};
  std::copy_n(digest.begin(), 15, bytes.begin() + 1);
  return IpAddress::v6(bytes);
}

}  // namespace cw::tunnel
