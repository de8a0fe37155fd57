#include "discovery/agent_reach.h"

#include <utility>

#include "base/log.h"
#include "base/reach.h"

namespace cw::discovery {

namespace {

// The period of reading the file while the store is away.
constexpr Duration kReadEvery = std::chrono::milliseconds(100);
// Once the store is back, gateways need this time to bring ClusterPeer.status up to date.
constexpr Duration kPeersCatchUp = std::chrono::seconds(10);

}  // namespace

void AgentReach::set_store_available(bool available) {
  if (file_.empty()) return;
  if (!available) {
    ends_.reset();
    if (!timer_.active()) timer_ = loop_.every(kReadEvery, [this] { read(); });
    return;
  }
  if (!reached_) return stop();
  // The store may still have values from before the outage.
  if (!ends_.active()) ends_ = loop_.after(kPeersCatchUp, [this] { stop(); });
}

void AgentReach::stop() {
  ends_.reset();
  timer_.reset();
  trouble_.clear();
  lost_since_.clear();
  if (std::exchange(reached_, std::nullopt)) on_change_();
}

void AgentReach::read() {
  std::optional<std::map<std::string, bool>> reached;
  auto file = read_reach(file_);
  const auto now = loop_.now();
  std::string trouble;
  if (!file) {
    trouble = file.error().text;
  } else if (now - file->at > kReachStale || file->at > now + kReachEvery) {
    trouble = "the file is old: the route agent does not write it";
  } else {
    reached = std::move(file->clusters);
  }
  if (std::exchange(trouble_, trouble) != trouble && !trouble.empty()) {
    log_warn(
        "the store is away, and the route agent does not say which clusters are reached: names "
        "stay unchanged",
        {{"file", file_}, {"error", trouble}});
  }
  if (reached == reached_) return;
  reached_ = std::move(reached);
  if (reached_) {
    for (const auto& [cluster, here] : *reached_) {
      if (here) {
        lost_since_.erase(cluster);
      } else {
        lost_since_.try_emplace(cluster, loop_.wall_now());
      }
    }
  }
  on_change_();
}

api::Away AgentReach::corrected(api::Away away) const {
  if (!reached_) return away;
  for (const auto& [cluster, here] : *reached_) {
    if (here) {
      away.erase(cluster);
    } else {
      away.try_emplace(cluster, lost_since_.at(cluster));
    }
  }
  return away;
}

}  // namespace cw::discovery
