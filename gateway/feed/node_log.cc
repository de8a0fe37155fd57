#include "gateway/feed/node_log.h"

#include <algorithm>
#include <utility>

namespace cw::gateway {
namespace {

std::vector<Prefix> sorted(std::vector<Prefix> prefixes) {
  std::sort(prefixes.begin(), prefixes.end());
  prefixes.erase(std::unique(prefixes.begin(), prefixes.end()), prefixes.end());
  return prefixes;
}

}  // namespace

// The node says that it has these prefixes. `touched`: nodes whose prefixes may differ by that.
void NodeLog::note(const std::string& node, const std::vector<Prefix>& prefixes,
                   std::set<std::string>& touched) {
  const auto next = sorted(prefixes);
  auto& before = said_[node];
  for (const auto& prefix : before) {
    if (std::binary_search(next.begin(), next.end(), prefix)) continue;
    const auto holders = holders_.find(prefix);
    std::erase(holders->second, node);
    if (holders->second.empty()) {
      holders_.erase(holders);
    } else {
      touched.insert(holders->second.back());
    }
  }
  for (const auto& prefix : next) {
    if (std::binary_search(before.begin(), before.end(), prefix)) continue;
    auto& holders = holders_[prefix];
    if (!holders.empty()) touched.insert(holders.back());
    holders.push_back(node);
  }
  touched.insert(node);
  before = next;
  if (next.empty()) said_.erase(node);
}

bool NodeLog::set(const NodePrefixes& nodes, std::uint64_t version) {
  std::set<std::string> touched;
  std::set<std::string> left;
  for (const auto& [node, prefixes] : said_) {
    if (nodes.count(node) == 0) left.insert(node);
  }
  for (const auto& node : left) note(node, {}, touched);
  for (const auto& [node, prefixes] : nodes) {
    const auto before = said_.find(node);
    if (before == said_.end() ? !prefixes.empty() : before->second != prefixes) {
      note(node, prefixes, touched);
    }
  }
  bool changed = false;
  for (const auto& node : touched) {
    std::vector<Prefix> owned;
    if (const auto said = said_.find(node); said != said_.end()) {
      std::copy_if(said->second.begin(), said->second.end(), std::back_inserter(owned),
                   [&](const Prefix& prefix) { return holders_.at(prefix).back() == node; });
    }
    const auto [at, fresh] = entries_.try_emplace(node);
    auto& entry = at->second;
    if (entry.prefixes == owned) {
      if (fresh) entries_.erase(at);
      continue;
    }
    if (!fresh) {
      order_.at(entry.version).erase(node);
      if (entry.prefixes.empty()) --gone_;
    }
    if (owned.empty()) ++gone_;
    entry = {std::move(owned), version};
    order_[version].insert(node);
    changed = true;
  }
  forget_oldest();
  return changed;
}

void NodeLog::forget_oldest() {
  for (auto at = order_.begin(); at != order_.end();) {
    auto& [version, nodes] = *at;
    if (gone_ > kMaxGone) {
      std::erase_if(nodes, [this](const std::string& node) {
        const auto entry = entries_.find(node);
        if (!entry->second.prefixes.empty()) return false;
        entries_.erase(entry);
        --gone_;
        return true;
      });
      horizon_ = version;
    }
    at = nodes.empty() ? order_.erase(at) : std::next(at);
  }
}

NodePrefixes NodeLog::after(std::uint64_t version, std::uint64_t& since) const {
  since = version < horizon_ ? 0 : version;
  NodePrefixes nodes;
  for (auto at = order_.upper_bound(since); at != order_.end(); ++at) {
    for (const auto& node : at->second) {
      const auto& prefixes = entries_.at(node).prefixes;
      if (since != 0 || !prefixes.empty()) nodes[node] = prefixes;
    }
  }
  return nodes;
}

}  // namespace cw::gateway
