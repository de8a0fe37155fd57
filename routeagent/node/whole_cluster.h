// What differs on a node whose pods' addresses belong to the cluster as a whole and to no node
// (docs/protocol/whole-cluster.md). NodeView::whole says so. The gateway that
// carries them all hands packets from the tunnel to its host's own routes, and the pod network
// brings them to the pod's node. Replies take the usual way over cw-vx. Pure.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "routeagent/node/desired.h"

namespace cw::routeagent {

// The devices by which the pod network may bring packets to this host: the underlay's, and all
// others that lead to other machines. Sorted.
[[nodiscard]] std::vector<std::string> carrier_links(std::span<const netlink::Link> links,
                                                     const std::string& underlay_link);
// The devices of `carriers` on which Linux accepts a packet only if it would send the answer by the
// same device (rp_filter 1). `values`: net.ipv4.conf.DEVICE.rp_filter, with that of "all".
[[nodiscard]] std::vector<std::string> strict_links(const std::vector<std::string>& carriers,
                                                    const std::map<std::string, int>& values);

// The source of this host's probes through gateways; none: it has no source in that family. An
// address that only this cluster's nodes know, because no address inside the ranges is a node's for
// certain.
[[nodiscard]] std::optional<IpAddress> probe_source(const Seen& seen, Family family);
// The same of every node, as gateways need it: by underlay address. Empty in other clusters.
[[nodiscard]] std::map<IpAddress, std::vector<Prefix>> probe_sources(const Seen& seen);

// The routes in the table of packets from the tunnel, beside those of the ranges: to the nodes'
// probe sources, and none to the nodes themselves, whose addresses may be inside the ranges.
[[nodiscard]] std::vector<netlink::Route> whole_cluster_routes(const Seen& seen);
// What keeps packets from pods: one sentence each, with the setting to change.
[[nodiscard]] std::vector<std::string> whole_cluster_problems(const Seen& seen);

}  // namespace cw::routeagent
