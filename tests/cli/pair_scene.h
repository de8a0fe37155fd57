// Small clusters as a store describes them, for tests of pairing.
#pragma once

#include <string>

#include "cli/pair.h"
#include "tunnel/fingerprint.h"
#include "tunnel/key.h"

namespace cw::cli {

inline tunnel::Key key_of(std::uint8_t number) {
  std::array<std::uint8_t, 32> bytes{};
  bytes.fill(number);
  return tunnel::Key(bytes);
}
inline std::string key_number(std::uint8_t number) { return key_of(number).base64(); }
inline std::string fingerprint_number(std::uint8_t number) {
  return tunnel::fingerprint(key_of(number));
}

// Two gateways and two nodes. Cluster 2 has the pods 10.2.0.0/24 and 10.2.1.0/24.
inline OwnCluster cluster(const std::string& id, std::uint8_t number) {
  OwnCluster own;
  own.id = id;
  for (std::uint32_t ordinal : {1U, 0U}) {
    api::TunnelGateway gateway;
    gateway.spec.ordinal = ordinal;
    gateway.spec.public_key = key_number(static_cast<std::uint8_t>(number * 10 + ordinal));
    gateway.spec.endpoints = {*Endpoint::parse("192.0.2." + std::to_string(number) + ":4500")};
    own.gateways.push_back(gateway);
  }
  for (int i = 0; i < 2; ++i) {
    api::Node node;
    const auto n = std::to_string(number);
    own.pods.push_back(*Prefix::parse("10." + n + "." + std::to_string(i) + ".0/24"));
    node.internal_ips = {*IpAddress::parse("172.16." + n + "." + std::to_string(i + 1))};
    own.nodes.push_back(node);
  }
  return own;
}

inline const OwnCluster kEast = cluster("east", 1);
inline const OwnCluster kWest = cluster("west", 2);

}  // namespace cw::cli
