// The closed prefixes of each remote cluster: their traffic leaves through our devices or not at
// all. A prefix stays in the ledger until the cluster is unpaired, even if the ClusterPeer changes
// or is deleted. Pure; docs/operations/fail-closed.md is the specification.
#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/never_a_peers.h"
#include "base/prefix.h"

namespace cw::routeagent {

// Per cluster. A ClusterPeer allows at most 1,024, but each change of it may add others.
inline constexpr std::size_t kMostPrefixes = 16384;

struct ClosedCluster {
  std::set<Prefix> closed;
  // Left open: they overlap this cluster's own networks, or no peer may have them.
  std::set<Prefix> open;
  // How many prefixes of the ClusterPeer are beyond kMostPrefixes. They are left open, too.
  std::size_t beyond = 0;
  friend bool operator==(const ClosedCluster&, const ClosedCluster&) = default;
};
using Ledger = std::map<std::string, ClosedCluster>;  // by cluster id
[[nodiscard]] std::set<std::string> cluster_ids(const Ledger& ledger);

// What a ClusterPeer says.
struct PeerPrefixes {
  std::string cluster;
  bool unpaired = false;
  std::vector<Prefix> allowed;
  std::vector<Prefix> claimed;
};

// The ledger after the store named `peers`. It forgets clusters that are marked as unpaired, and
// nothing else. A claim counts only inside the prefixes that its ClusterPeer allows. `own`: pod
// prefixes and node addresses of this cluster, and the host's networks.
[[nodiscard]] Ledger learned(Ledger ledger, std::span<const PeerPrefixes> peers,
                             std::span<const OwnPrefixes> own);

// One sentence for each open prefix, and one per cluster for those beyond kMostPrefixes.
[[nodiscard]] std::vector<std::string> left_open(const Ledger& ledger,
                                                 std::span<const OwnPrefixes> own);

// All closed prefixes, merged: none contains another, and two halves of a prefix become one.
[[nodiscard]] std::vector<Prefix> closed_prefixes(const Ledger& ledger);

// The text of the ledger's file, which survives a reboot: one line of JSON. kInvalid says what is
// wrong.
inline constexpr std::size_t kMostLedgerBytes = std::size_t{16} << 20U;
[[nodiscard]] std::string ledger_text(const Ledger& ledger);
[[nodiscard]] Result<Ledger> parse_ledger(std::string_view text);

}  // namespace cw::routeagent
