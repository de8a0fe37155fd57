#include "tunnel/probe/forwarding_address.h"

#include <openssl/evp.h>

#include <algorithm>
#include <initializer_list>
#include <string>

namespace cw::tunnel {

namespace {

using Digest = std::array<unsigned char, EVP_MAX_MD_SIZE>;

Digest digest_of(std::string input, std::initializer_list<const Key*> keys) {
  for (const auto* key : keys) {
    input.append(reinterpret_cast<const char*>(key->bytes().data()), key->bytes().size());
  }
  Digest digest{};
  CW_CHECK(EVP_Digest(input.data(), input.size(), digest.data(), nullptr, EVP_sha256(), nullptr) ==
           1);
  return digest;
}

// 240.0.0.0 to 254.255.255.255, so never the broadcast address.
IpAddress v4_of(const Digest& digest) {
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
