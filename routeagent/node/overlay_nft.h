// The part of nft table `causeway` that keeps strangers out of cw-vx (docs/protocol/datapath.md,
// "Who may send on cw-vx"). Each chain asks one question:
//   vxlan           did another node send this VXLAN packet, and did it arrive from the underlay?
//   overlay-source  does the inner source belong to the node whose MAC the frame carries?
//   overlay-forward does this host forward only what belongs into and out of the overlay?
// With `overlay: wireguard`, chain overlay-output keeps VXLAN packets from leaving unencrypted.
// Pure: equal inputs give equal chains.
#pragma once

#include <string>
#include <vector>

#include "base/prefix.h"
#include "netlink/kernel.h"
#include "netlink/nft_table.h"

namespace cw::routeagent {

// A node whose frames this node accepts.
struct OverlaySender {
  IpAddress outer;  // from which its VXLAN packets come
  netlink::Mac mac{};
  std::vector<Prefix> sources;  // inner sources that are its own
  bool gateway = false;         // remote prefixes are sources of its frames, too
};

struct OverlayGuard {
  IpAddress outer;           // to which VXLAN packets come
  std::string arrival_link;  // by which they come; empty: by one of several devices
  std::string outside_link;  // by which no pod's packets come; empty: not known
  bool encrypted = false;    // they come inside WireGuard, by cw-nd
  bool gateway = false;      // this node is a gateway node
  std::vector<OverlaySender> senders;
};

void add_overlay_sets(netlink::NftTable& table, const OverlayGuard& guard);
// The chains use the sets local, own, remote and nodes of the table. The table's input chain must
// jump to `vxlan` with packets to the VXLAN port.
void add_overlay_chains(netlink::NftTable& table, const OverlayGuard& guard);

}  // namespace cw::routeagent
