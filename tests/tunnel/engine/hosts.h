// Two hosts for tests of real devices. Each is a thread with a network namespace of its own. A
// cable (veth) is between them, and an engine device at each end. Needs root.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "base/fake/sim_loop.h"
#include "tests/base/test_host.h"
#include "tunnel/engine/device.h"

namespace cw::tunnel::engine {

// 192.0.2.1 and .2 on the cable; 10.9.0.1 and .2, fd09::1 and ::2 in the tunnel.
class TwoHosts {
 public:
  explicit TwoHosts(DeviceOptions options = {}) {
    options.interface = "wg0";
    host[0].shell("ip link add eth0 type veth peer name eth0 netns " +
                  std::to_string(host[1].tid()));
    for (unsigned i = 0; i < 2; ++i) {
      const auto n = std::to_string(i + 1);
      host[i].shell("ip addr add 192.0.2." + n + "/24 dev eth0 && ip link set eth0 up");
      host[i].in([&] {
        auto opened = Device::open(options);
        ASSERT_TRUE(opened) << opened.error().text;
        device[i] = std::move(*opened);
      });
      host[i].shell("ip addr add 10.9.0." + n + "/24 dev wg0 && ip addr add fd09::" + n +
                    "/64 dev wg0 nodad && ip link set wg0 mtu 1420 up");
      keys[i] = Key::generate_private(random);
    }
    // A new cable drops packets for a moment, and a lost initiation is repeated only after 5 s.
    host[0].shell("for i in 1 2 3 4 5; do ping -q -c 1 -W 1 192.0.2.2 >/dev/null && break; done");
    for (unsigned i = 0; i < 2; ++i) {
      const auto n = std::to_string(2 - i);
      uapi::SetRequest request;
      request.private_key = keys[i];
      request.listen_port = 51820;
      auto& peer = request.peers.emplace_back();
      peer.key = keys[1 - i].public_key();
      peer.endpoint = *Endpoint::parse("192.0.2." + n + ":51820");
      peer.allowed_ips = {{*Prefix::parse("10.9.0." + n + "/32"), false},
                          {*Prefix::parse("fd09::" + n + "/128"), false}};
      host[i].in([&] { EXPECT_TRUE(device[i]->set(request)); });
    }
  }
  ~TwoHosts() {
    for (unsigned i = 0; i < 2; ++i) host[i].in([&] { device[i].reset(); });
  }
  TwoHosts(const TwoHosts&) = delete;
  TwoHosts& operator=(const TwoHosts&) = delete;

  [[nodiscard]] PeerStatus peer(unsigned i) const {
    return device[i]->settings().status.peers.at(keys[1 - i].public_key());
  }

  SeededRandom random{3};
  TestHost host[2];
  Key keys[2];
  std::unique_ptr<Device> device[2];
};

}  // namespace cw::tunnel::engine
