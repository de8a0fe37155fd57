#include "routeagent/node/vtep.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <span>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace cw::routeagent {

namespace {

std::array<std::uint8_t, 32> hmac(const OverlayKey& key, std::string_view domain,
                                  std::span<const std::uint8_t> bytes) {
  std::vector<std::uint8_t> input(domain.begin(), domain.end());
  input.insert(input.end(), bytes.begin(), bytes.end());
  std::array<std::uint8_t, 32> out{};
  unsigned size = 0;
  CW_CHECK(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), input.data(), input.size(),
                out.data(), &size) != nullptr);
  CW_CHECK(size == out.size());
  return out;
}

}  // namespace

netlink::Mac vtep_mac(const OverlayKey& key, const IpAddress& underlay) {
  const auto secret = hmac(key, "causeway overlay mac v1", underlay.bytes());
  netlink::Mac mac{0x02};  // locally administered, unicast
  std::copy_n(secret.begin(), 5, mac.begin() + 1);
  return mac;
}

std::uint32_t overlay_vni(const OverlayKey& key) {
  const auto secret = hmac(key, "causeway overlay vni v1", {});
  std::uint32_t number = 0;
  for (unsigned i = 0; i < 4; ++i) number = number << 8U | secret[i];
  return 1 + number % 0xffffffU;
}

IpAddress node_address(const OverlayKey& key, const IpAddress& underlay, Family family) {
  const auto secret = hmac(key, "causeway overlay address v1", underlay.bytes());
  if (family == Family::kV4) {
    // 240.0.0.0 to 254.255.255.255, so never the broadcast address.
    return IpAddress::v4(
        {static_cast<std::uint8_t>(240 + secret[0] % 15), secret[1], secret[2], secret[3]});
  }
  std::array<std::uint8_t, 16> bytes{0xfd};
  std::copy_n(secret.begin(), 15, bytes.begin() + 1);
  return IpAddress::v6(bytes);
}

IpAddress link_local_of(const netlink::Mac& mac) {
  std::array<std::uint8_t, 16> bytes{0xfe, 0x80};
  bytes[8] = static_cast<std::uint8_t>(mac[0] ^ 0x02U);
  bytes[9] = mac[1];
  bytes[10] = mac[2];
  bytes[11] = 0xff;
  bytes[12] = 0xfe;
  bytes[13] = mac[3];
  bytes[14] = mac[4];
  bytes[15] = mac[5];
  return IpAddress::v6(bytes);
}

}  // namespace cw::routeagent
