#include "routeagent/node/vtep.h"

#include <openssl/sha.h>

#include <algorithm>
#include <string_view>
#include <vector>

namespace cw::routeagent {

netlink::Mac vtep_mac(const IpAddress& underlay) {
  constexpr std::string_view kDomain = "causeway vxlan";
  std::vector<std::uint8_t> input(kDomain.begin(), kDomain.end());
  const auto bytes = underlay.bytes();
  input.insert(input.end(), bytes.begin(), bytes.end());
  std::array<std::uint8_t, SHA256_DIGEST_LENGTH> digest{};
  SHA256(input.data(), input.size(), digest.data());
  netlink::Mac mac{0x02};  // locally administered, unicast
  std::copy_n(digest.begin(), 5, mac.begin() + 1);
  return mac;
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
