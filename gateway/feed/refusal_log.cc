#include "gateway/feed/refusal_log.h"

namespace cw::gateway {
namespace {

constexpr Duration kEvery = std::chrono::minutes(1);

}  // namespace

std::vector<RefusalLog::Line> RefusalLog::changed(
    const std::map<std::string, AcceptedCluster>& clusters, TimePoint now) {
  std::erase_if(logged_, [&](const auto& entry) { return clusters.count(entry.first) == 0; });
  std::vector<Line> lines;
  for (const auto& [cluster, accepted] : clusters) {
    auto& logged = logged_[cluster];
    if (accepted.refusals.empty() || accepted.refusals == logged.refusals) continue;
    if (logged.when != TimePoint{} && now - logged.when < kEvery) continue;
    logged = {accepted.refusals, now};
    lines.push_back({cluster, accepted.refusals.size(), accepted.refusals.front().reason,
                     accepted.refusals.front().message});
  }
  return lines;
}

}  // namespace cw::gateway
