// What this gateway tells people: its TunnelGateway object, Events on that object, and the metrics
// that are read rather than counted. No packet's path depends on it. Loop thread only.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "api/store/object_keeper.h"
#include "api/store/switch_events.h"
#include "gateway/deps.h"
#include "gateway/feed/feed.h"
#include "gateway/object.h"
#include "netlink/repairs.h"

namespace cw::gateway {

class Report {
 public:
  Report(const Deps& deps, const Config& config, const ClusterView& view);

  // The object as it should be. Call it after every change and every second or two. `urgent`: news
  // do not wait (draining).
  void set_desired(const api::TunnelGateway& desired, bool urgent);
  // Objects of ours that another program had removed, and that are there again.
  void add_repairs(const std::map<std::string, std::size_t>& restored) { repairs_.add(restored); }
  // The hooks that record Events.
  [[nodiscard]] TunnelEvents of_tunnels(std::function<void()> changed);
  // Metrics, when they are read.
  void publish_ready(bool ready);
  void publish_tunnels(const std::vector<api::TunnelStatus>& tunnels);
  void publish_feed(const Feed& feed);

 private:
  [[nodiscard]] std::shared_ptr<const api::TunnelGateway> stored() const;
  [[nodiscard]] api::Step step() const;
  void record(const char* reason, const std::string& message);

  Loop& loop_;
  Metrics& metrics_;
  const Config& config_;
  const ClusterView& view_;
  std::set<MetricLabels> shown_;  // of tunnels
  api::EventRecorder recorder_;
  api::SwitchEvents switches_;
  netlink::Repairs repairs_;
  api::TunnelGateway desired_;
  bool urgent_ = false;
  std::optional<TimePoint> last_status_;
  api::ObjectKeeper keeper_;
};

}  // namespace cw::gateway
