#include "gateway/feed/announced.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

namespace cw::gateway {

void merge(AnnouncedChange after, AnnouncedChange& before) {
  if (after.since == 0) {
    before = std::move(after);
    return;
  }
  for (auto& [node, prefixes] : after.nodes) before.nodes[node] = std::move(prefixes);
  before.cluster = std::move(after.cluster);
  before.number = after.number;
  before.gateways = std::move(after.gateways);
}

void merge(AnnouncedChange change, Announcement& announcement) {
  if (change.since == 0) announcement.nodes.clear();
  for (auto& [node, prefixes] : change.nodes) {
    if (prefixes.empty()) {
      announcement.nodes.erase(node);
    } else {
      announcement.nodes[node] = std::move(prefixes);
    }
  }
  announcement.cluster = std::move(change.cluster);
  announcement.gateways = std::move(change.gateways);
}

Result<> AnnouncedOwners::check(const AnnouncedChange& change) const {
  if (change.since != 0 && change.since != last_.number) {
    return fail(Errc::kInvalid,
                fmt::format("announcement: changes number {}, and the last one here is {}",
                            change.since, last_.number));
  }
  std::size_t total = change.since == 0 ? 0 : owners_.size();
  std::size_t nodes = change.since == 0 ? 0 : last_.nodes.size();
  std::set<Prefix> named;
  for (const auto& [node, prefixes] : change.nodes) {
    const auto before = last_.nodes.find(node);
    if (change.since != 0 && before != last_.nodes.end()) {
      total -= before->second.size();
      --nodes;
    }
    total += prefixes.size();
    nodes += prefixes.empty() ? 0 : 1;
    for (const auto& prefix : prefixes) {
      if (named.insert(prefix).second) continue;
      return fail(Errc::kInvalid,
                  fmt::format("announcement: two nodes have prefix {}", prefix.to_string()));
    }
  }
  if (total > kMaxAnnouncedPrefixes || nodes > kMaxAnnouncedNodes) {
    return fail(Errc::kTooLarge, fmt::format("announcement: over {} prefixes or {} nodes",
                                             kMaxAnnouncedPrefixes, kMaxAnnouncedNodes));
  }
  return {};
}

// The node, which has none, gets these prefixes. Those of other nodes are taken from them.
void AnnouncedOwners::set(const std::string& node, const std::vector<Prefix>& prefixes,
                          NodePrefixes& changed) {
  for (const auto& prefix : prefixes) {
    const auto [owner, fresh] = owners_.try_emplace(prefix, node);
    if (fresh) continue;
    auto& robbed = last_.nodes[owner->second];
    std::erase(robbed, prefix);
    changed[owner->second] = robbed;
    if (robbed.empty()) last_.nodes.erase(owner->second);
    owner->second = node;
  }
  if (!prefixes.empty()) last_.nodes[node] = prefixes;
  changed[node] = prefixes;
}

Result<AnnouncedChange> AnnouncedOwners::take(AnnouncedChange change) {
  if (auto good = check(change); !good) {
    last_.number = 0;  // no difference says that it changes number 0
    return fail(std::move(good.error()));
  }
  if (change.since == 0) {
    last_.nodes.clear();
    owners_.clear();
  }
  // What nodes of the change give up goes first: it may be another one's in the same change.
  for (const auto& [node, prefixes] : change.nodes) {
    const auto before = last_.nodes.find(node);
    if (before == last_.nodes.end()) continue;
    for (const auto& prefix : before->second) owners_.erase(prefix);
    last_.nodes.erase(before);
  }
  NodePrefixes changed;
  for (const auto& [node, prefixes] : change.nodes) set(node, prefixes, changed);
  change.nodes = std::move(changed);
  last_.cluster = change.cluster;
  last_.number = change.number;
  last_.gateways = change.gateways;
  return change;
}

AnnouncedChange AnnouncedOwners::whole() const { return last_; }

}  // namespace cw::gateway
