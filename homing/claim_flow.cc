#include "homing/claim_flow.h"

#include <algorithm>

namespace cw::homing {

void ClaimFlow::set_clusters(const std::map<std::string, RemoteCluster>& clusters) {
  std::erase_if(clusters_, [&](const auto& one) { return clusters.count(one.first) == 0; });
  const auto gone = [this](const auto& one) { return clusters_.count(one.second.cluster) == 0; };
  for (const auto& [name, remote] : clusters) {
    // It never shrinks: a cluster that announces less, then more, must gain nothing by it.
    std::size_t shares = 0;
    for (const auto& [node, prefixes] : remote.nodes) shares += families_of(prefixes).size();
    clusters_[name].tokens.grow_to(2 * static_cast<double>(shares));
  }
  std::erase_if(counted_, gone);
  std::erase_if(waiting_, gone);
}

bool ClaimFlow::counts(const ClaimKey& key, const GatewayId& claimed) const {
  const auto at = counted_.find(key);
  return at != counted_.end() && at->second == claimed;
}

bool ClaimFlow::waits(const ClaimKey& key) const {
  const auto at = waiting_.find(key);
  return at != waiting_.end() && !counts(key, at->second);
}

void ClaimFlow::set(const Claimed& all, TimePoint now) {
  std::erase_if(counted_, [&](const auto& one) { return all.count(one.first) == 0; });
  const auto gone = std::erase_if(waiting_, [&](const auto& one) {
    const auto said = all.find(one.first);
    return said == all.end() || said->second.cluster != one.second.cluster;
  });
  if (gone != 0) {
    for (auto& [name, cluster] : clusters_) {
      std::erase_if(cluster.order, [&, &id = name](const ClaimKey& key) {
        const auto at = waiting_.find(key);
        return at == waiting_.end() || at->second.cluster != id;
      });
    }
  }
  (void)take(all, now);
}

ClaimFlow::Claimed ClaimFlow::take(const Claimed& changed, TimePoint now) {
  Claimed now_counted;
  for (const auto& [key, claimed] : changed) {
    const auto waiting = waiting_.find(key);
    if (waiting != waiting_.end() && waiting->second.cluster == claimed.cluster) {
      waiting->second = claimed;  // in its place in the line
      continue;
    }
    const auto cluster = clusters_.find(claimed.cluster);
    if (cluster == clusters_.end() || counts(key, claimed)) continue;
    if (cluster->second.tokens.wait(now) == Duration::zero()) {
      cluster->second.tokens.take(1, now);
      counted_[key] = now_counted[key] = claimed;
    } else {
      waiting_.insert_or_assign(key, claimed);
      cluster->second.order.push_back(key);
    }
  }
  return now_counted;
}

ClaimFlow::Claimed ClaimFlow::release(TimePoint now) {
  Claimed now_counted;
  for (auto& [name, cluster] : clusters_) {
    if (now < cluster.not_before) continue;
    bool any = false;
    while (!cluster.order.empty()) {
      const auto key = cluster.order.front();
      const auto at = waiting_.find(key);
      const bool ours = at != waiting_.end() && at->second.cluster == name;
      const bool news = ours && !counts(key, at->second);
      if (news && cluster.tokens.wait(now) > Duration::zero()) break;
      cluster.order.pop_front();
      if (news) {
        cluster.tokens.take(1, now);
        counted_[key] = now_counted[key] = at->second;
        any = true;
      }
      if (ours) waiting_.erase(at);
    }
    if (any) cluster.not_before = now + kPause;
  }
  return now_counted;
}

std::optional<TimePoint> ClaimFlow::next(TimePoint now) {
  std::optional<TimePoint> next;
  for (auto& [name, cluster] : clusters_) {
    if (cluster.order.empty()) continue;
    const auto at = std::max(now + cluster.tokens.wait(now), cluster.not_before);
    next = next ? std::min(*next, at) : at;
  }
  return next;
}

}  // namespace cw::homing
