// Whether this gateway hands over its traffic: its process stops, or `causewayctl drain` asked for
// it. A stop takes one to five times Config::drain if another local gateway can take over,
// otherwise 200 ms. Loop thread only.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>

#include "gateway/cluster_view.h"
#include "gateway/config.h"

namespace cw::gateway {

class Drain {
 public:
  // The local prefixes that nodes send through this gateway. None: it has no identity yet.
  using Carried = std::function<std::optional<std::size_t>()>;

  Drain(Loop& loop, const Config& config, const ClusterView& view)
      : loop_(loop), config_(config), view_(view) {}

  [[nodiscard]] bool stopping() const { return stopping_; }
  [[nodiscard]] bool active() const;  // stopping, or asked for

  // Calls `done` when the others have had time to take over.
  void start(Carried carried, std::function<void()> done);

 private:
  [[nodiscard]] bool others_can_take_over() const;
  void watch();

  Loop& loop_;
  const Config& config_;
  const ClusterView& view_;
  bool stopping_ = false;
  Carried carried_;
  std::function<void()> done_;
  TimePoint ends_{};
  Handle timer_;
};

}  // namespace cw::gateway
