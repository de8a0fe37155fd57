// The states of a node's kernel during its life, for the reconciler's tests on the kernel in memory
// and on Linux.
#pragma once

#include <string>
#include <vector>

#include "tests/routeagent/situation.h"

namespace cw::routeagent {

inline IpAddress ip(std::string_view text) { return *IpAddress::parse(text); }
inline Prefix net(std::string_view text) { return *Prefix::parse(text); }

inline constexpr OverlayKey kOverlayKey{'k', 'e', 'y'};

// Node 3 of a cluster: gateways 0 and 1 are on nodes 1 and 2, node 4 is a worker. With `gateway`,
// gateway 0 is on node 3. Gateway 0 carries west. Gateway 1 carries north in IPv4; in IPv6 no
// gateway does.
inline Situation inputs(bool gateway = false) {
  Situation in;
  const auto node = [](int n) {
    const auto text = std::to_string(n);
    return NodeView{"n" + text,
                    ip("10.0.0." + text),
                    {net("10.1." + text + ".0/24"), net("fd01:" + text + "::/64")}};
  };
  in.self = node(3);
  in.others = {node(1), node(2), node(4)};
  in.gateways = {{0, gateway ? "n3" : "n1", ip(gateway ? "10.0.0.3" : "10.0.0.1")},
                 {1, "n2", ip("10.0.0.2")}};
  in.remotes = {{"west", {net("10.2.0.0/16"), net("fd02::/32")}},
                {"north", {net("10.3.1.0/24"), net("10.3.2.0/24"), net("fd03::/32")}}};
  in.overlay = kOverlayKey;
  in.host.underlay_mtu = 1500;
  in.host.underlay_link = "eth0";
  in.host.tunnel_up = gateway;
  in.host.tunnel_mtu = gateway ? 1420 : 0;
  in.decided = true;
  in.choices[{"west", Family::kV4}] = {0, "home", {}};
  in.choices[{"west", Family::kV6}] = {0, "home", {}};
  in.choices[{"north", Family::kV4}] = {1, "home", {}};
  in.choices[{"north", Family::kV6}] = {std::nullopt, "none", {}};
  return in;
}

// The states that a node's kernel goes through.
inline std::vector<NodeState> lives() {
  std::vector<NodeState> all;
  all.push_back(desired_state(inputs()));
  all.push_back(desired_state(inputs(true)));
  auto other = inputs();
  other.choices[{"west", Family::kV4}].ordinal = 1;
  other.choices[{"west", Family::kV6}].ordinal.reset();
  other.choices[{"north", Family::kV6}].ordinal = 0;
  all.push_back(desired_state(other));
  auto smaller = inputs();
  smaller.remotes.pop_back();
  smaller.others.pop_back();
  all.push_back(desired_state(smaller));
  auto moved = inputs();
  moved.self.underlay = ip("10.0.0.33");
  moved.others[0].underlay = ip("10.0.0.11");
  moved.gateways[0].node_ip = ip("10.0.0.11");
  moved.host.underlay_mtu = 1400;
  moved.host.prefer_src[Family::kV4] = ip("10.1.3.1");
  all.push_back(desired_state(moved));
  auto undecided = inputs();
  undecided.decided = false;
  undecided.choices.clear();
  all.push_back(desired_state(undecided));
  auto rekeyed = inputs(true);
  rekeyed.overlay = OverlayKey{'n', 'e', 'w'};
  rekeyed.host.underlay_link.clear();
  all.push_back(desired_state(rekeyed));
  return all;
}

}  // namespace cw::routeagent
