// Which prefixes of which remote clusters this node holds back: their traffic leaves through our
// devices or not at all. A prefix stays in the ledger until the cluster is unpaired, whatever
// becomes of its ClusterPeer. Pure; docs/operations/fail-closed.md is the specification.
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

// Of one cluster. A ClusterPeer allows 1,024 at most; an administrator may replace them.
inline constexpr std::size_t kMostPrefixes = 16384;

struct ClosedCluster {
  std::set<Prefix> closed;
  // Known, but not held back: they overlap what is this cluster's own, or what no peer may have.
  std::set<Prefix> open;
  // Prefixes that a ClusterPeer names beyond kMostPrefixes. They are not held back either.
  std::size_t beyond = 0;
  friend bool operator==(const ClosedCluster&, const ClosedCluster&) = default;
};
using Ledger = std::map<std::string, ClosedCluster>;  // by cluster id

// What a ClusterPeer says.
struct PeerPrefixes {
  std::string cluster;
  bool unpaired = false;
  std::vector<Prefix> allowed;
  std::vector<Prefix> claimed;
};

// The ledger after the store has said this. It forgets the clusters that are marked as unpaired,
// and nothing else. A claim counts only within what the ClusterPeer allows. `own` is what belongs
// to this cluster and this host: pod prefixes, addresses of nodes, connected networks.
[[nodiscard]] Ledger learned(Ledger ledger, std::span<const PeerPrefixes> peers,
                             std::span<const OwnPrefixes> own);

// One sentence for each prefix that is not held back, and one for all beyond kMostPrefixes.
[[nodiscard]] std::vector<std::string> left_open(const Ledger& ledger,
                                                 std::span<const OwnPrefixes> own);

// All that is held back, as few prefixes: none contains another, and two halves are one.
[[nodiscard]] std::vector<Prefix> closed_prefixes(const Ledger& ledger);

// The file that keeps the ledger over a reboot: JSON, one line. kInvalid names what is wrong.
inline constexpr std::size_t kMostLedgerBytes = std::size_t{16} << 20U;
[[nodiscard]] std::string ledger_text(const Ledger& ledger);
[[nodiscard]] Result<Ledger> parse_ledger(std::string_view text);

}  // namespace cw::routeagent
