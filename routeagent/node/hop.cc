#include "routeagent/node/hop.h"

#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace cw::routeagent {

namespace {

constexpr std::array<std::uint8_t, 8> kNetwork{0xfd, 0x43, 0x57, 0x43, 0x6e, 0x64, 0, 0};
// Keeps a session with every gateway, so that a failover waits for no handshake.
constexpr std::uint16_t kKeepaliveSeconds = 5;

}  // namespace

Prefix hop_network() {
  std::array<std::uint8_t, 16> bytes{};
  std::copy(kNetwork.begin(), kNetwork.end(), bytes.begin());
  const auto network = Prefix::of(IpAddress::v6(bytes), 64);
  CW_CHECK(network.has_value());
  return *network;
}

IpAddress hop_address(const tunnel::Key& node) {
  constexpr std::string_view kDomain = "causeway node address";
  std::vector<std::uint8_t> input(kDomain.begin(), kDomain.end());
  input.insert(input.end(), node.bytes().begin(), node.bytes().end());
  std::array<std::uint8_t, SHA256_DIGEST_LENGTH> digest{};
  SHA256(input.data(), input.size(), digest.data());
  std::array<std::uint8_t, 16> bytes{};
  std::copy(kNetwork.begin(), kNetwork.end(), bytes.begin());
  std::copy_n(digest.begin(), 8, bytes.begin() + 8);
  return IpAddress::v6(bytes);
}

std::uint32_t hop_mtu(std::uint32_t underlay_mtu, Family underlay) {
  constexpr std::uint32_t kLeast = 1280;  // cw-nd carries IPv6, which needs this
  // IP header, UDP header, WireGuard's header and tag.
  const std::uint32_t overhead = (underlay == Family::kV4 ? 20U : 40U) + 8U + 32U;
  return underlay_mtu > kLeast + overhead ? underlay_mtu - overhead : kLeast;
}

tunnel::DeviceSpec desired_hop(const Seen& seen, const tunnel::Key& own, std::uint16_t port) {
  tunnel::DeviceSpec spec;
  spec.private_key = own;
  spec.listen_port = port;
  const auto self = own.public_key();
  for (const auto& node : seen.others) {
    if (left_out(seen, node) || !talks_to(seen, node.underlay)) continue;
    if (*node.key == self || node.underlay.family() != seen.self.underlay.family()) continue;
    tunnel::PeerSpec peer;
    peer.endpoint = Endpoint{node.underlay, node.overlay->port};
    peer.keepalive_seconds = kKeepaliveSeconds;
    peer.allowed_ips = {Prefix::host(hop_address(*node.key))};
    spec.peers.emplace(*node.key, std::move(peer));
  }
  return spec;
}

}  // namespace cw::routeagent
