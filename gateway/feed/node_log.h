// The nodes' prefixes of this cluster as streams hear of them: all at first, then the nodes that
// changed. Each node has one place, that of its newest version. A node that is gone leaves a
// tombstone. If several nodes say that they have a prefix, as while a block moves, the one that
// came last has it. Pure; not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "gateway/feed/statement.h"

namespace cw::gateway {

class NodeLog {
 public:
  static constexpr std::size_t kMaxGone = 1024;  // tombstones

  // What differs gets `version`, which grows from call to call. True: something does.
  bool set(const NodePrefixes& nodes, std::uint64_t version);
  // What changed after `version`; those without prefixes are gone. `since` becomes `version`, or 0
  // if all nodes are named: at the start, and for a stream that missed forgotten tombstones.
  [[nodiscard]] NodePrefixes after(std::uint64_t version, std::uint64_t& since) const;

 private:
  struct Entry {
    std::vector<Prefix> prefixes;  // of which it is the owner; none: it is gone
    std::uint64_t version = 0;
  };
  void note(const std::string& node, const std::vector<Prefix>& prefixes,
            std::set<std::string>& touched);
  void forget_oldest();

  NodePrefixes said_;                                   // as given
  std::map<Prefix, std::vector<std::string>> holders_;  // who says so; the last one is the owner
  std::map<std::string, Entry> entries_;
  std::map<std::uint64_t, std::set<std::string>> order_;  // entries by version
  std::size_t gone_ = 0;                                  // tombstones among them
  std::uint64_t horizon_ = 0;  // tombstones up to this version are forgotten
};

}  // namespace cw::gateway
