#include "gateway/peers/device.h"

#include <algorithm>

#include "netlink/owner.h"
#include "tunnel/probe/forwarding_address.h"

namespace cw::gateway {

tunnel::DeviceSpec desired_device(const DeviceInput& input) {
  tunnel::DeviceSpec spec;
  spec.private_key = input.private_key;
  spec.listen_port = input.listen_port;
  spec.fwmark = netlink::kTunnelMark;
  each_gateway(input.clusters, [&](const GatewayId& id, const RemoteGateway& gateway) {
    auto& peer = spec.peers[gateway.key];
    peer.preshared_key = gateway.preshared_key;
    peer.keepalive_seconds = input.keepalive_seconds;
    peer.allowed_ips.insert(Prefix::host(gateway.control_address));
    peer.allowed_ips.insert(Prefix::host(tunnel::probe_address(gateway.key, Family::kV4)));
    if (const auto at = input.endpoints.find(id); at != input.endpoints.end()) {
      peer.endpoint = at->second;
    }
  });
  for (const auto& [prefix, owner] : input.placement) {
    const auto cluster = input.clusters.find(owner.cluster);
    if (cluster == input.clusters.end()) continue;
    const auto gateway = cluster->second.gateways.find(owner.ordinal);
    if (gateway == cluster->second.gateways.end()) continue;
    spec.peers[gateway->second.key].allowed_ips.insert(prefix);
  }
  return spec;
}

bool matches(const tunnel::DeviceStatus& device, const tunnel::DeviceSpec& spec) {
  if (device.listen_port != spec.listen_port || device.fwmark != spec.fwmark ||
      device.public_key != spec.private_key.public_key()) {
    return false;
  }
  return std::equal(device.peers.begin(), device.peers.end(), spec.peers.begin(), spec.peers.end(),
                    [](const auto& have, const auto& want) {
                      return have.first == want.first &&
                             have.second.allowed_ips == want.second.allowed_ips &&
                             have.second.keepalive_seconds == want.second.keepalive_seconds &&
                             have.second.has_preshared_key == want.second.preshared_key.has_value();
                    });
}

}  // namespace cw::gateway
