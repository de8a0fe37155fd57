// Which refusals to log: one line for each cluster whose refusals changed, at most one per minute,
// with their number. The ClusterPeer's condition ClaimsAccepted has up to 20 of them. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "gateway/feed/remote_state.h"

namespace cw::gateway {

class RefusalLog {
 public:
  struct Line {
    std::string cluster;
    std::size_t count = 0;
    RefusalReason reason{};  // of the first refusal
    std::string first;
    friend bool operator==(const Line&, const Line&) = default;
  };
  // The lines to write now.
  [[nodiscard]] std::vector<Line> changed(const std::map<std::string, AcceptedCluster>& clusters,
                                          TimePoint now);

 private:
  struct Logged {
    std::vector<Refusal> refusals;
    TimePoint when{};
  };
  std::map<std::string, Logged> logged_;
};

}  // namespace cw::gateway
