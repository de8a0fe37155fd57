// The newest refusal report of each remote cluster, and how fast its reports take effect: 5 at
// once, then one every 10 s. Each change writes the ClusterPeer's status and may make an Event, and
// the sender is not trusted. A report that comes too early waits, and only the newest one does.
// Loop thread only.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "base/loop.h"
#include "base/token_bucket.h"
#include "gateway/feed/refusal_report.h"

namespace cw::gateway {

class RefusalInbox {
 public:
  using Reports = std::map<std::string, RefusalReport>;  // by cluster id
  // `on_change`: told() changed.
  RefusalInbox(Loop& loop, std::function<void(const Reports& told)> on_change);
  RefusalInbox(const RefusalInbox&) = delete;
  RefusalInbox& operator=(const RefusalInbox&) = delete;

  void receive(const std::string& cluster, RefusalReport report);
  // Forgets all other clusters: they are no longer paired.
  void keep_only(const std::set<std::string>& clusters);
  [[nodiscard]] const Reports& told() const { return told_; }

 private:
  struct Sender {
    std::optional<RefusalReport> waiting;
    TokenBucket tokens{0.1, 5};
    Handle timer;
  };
  void take(const std::string& cluster);

  Loop& loop_;
  std::function<void(const Reports&)> on_change_;
  std::map<std::string, Sender> senders_;
  Reports told_;
};

}  // namespace cw::gateway
