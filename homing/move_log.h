// Lines of the log about prefixes that move: at most one per second and cluster, which counts what
// moved since the line before. Pure.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/loop.h"
#include "tunnel/probe/party.h"

namespace cw::homing {

using tunnel::GatewayId;

class MoveLog {
 public:
  static constexpr Duration kGap = std::chrono::seconds(1);
  struct Line {
    std::string cluster;
    std::set<std::uint32_t> to;  // ordinals of the gateways that carry them now
    std::size_t count = 0;       // moves
    friend bool operator==(const Line&, const Line&) = default;
  };

  void add(const GatewayId& to, std::size_t prefixes) {
    auto& unsaid = clusters_[to.cluster].unsaid;
    unsaid.cluster = to.cluster;
    unsaid.to.insert(to.ordinal);
    unsaid.count += prefixes;
  }
  // The lines to write now. Call it after add(), and each second for what remains.
  [[nodiscard]] std::vector<Line> lines(TimePoint now) {
    std::vector<Line> lines;
    for (auto at = clusters_.begin(); at != clusters_.end();) {
      auto& [unsaid, next] = at->second;
      if (now < next) {
        ++at;
      } else if (unsaid.count == 0) {
        at = clusters_.erase(at);
      } else {
        lines.push_back(std::exchange(unsaid, {}));
        next = now + kGap;
        ++at;
      }
    }
    return lines;
  }

 private:
  struct Cluster {
    Line unsaid;
    TimePoint next{};
  };
  std::map<std::string, Cluster> clusters_;
};

}  // namespace cw::homing
