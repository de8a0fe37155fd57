// The TunnelGateway object of this gateway: its status from what is seen now, whether that is news,
// and writing it. Loop thread only.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "api/store/store.h"
#include "api/types/tunnel_gateway.h"
#include "base/backoff.h"
#include "gateway/peers/device.h"
#include "gateway/tunnels.h"

namespace cw::gateway {

[[nodiscard]] api::ObjectKey gateway_key(std::uint32_t ordinal);  // "gateway-0"

// One tunnel a remote gateway, in order.
[[nodiscard]] std::vector<api::TunnelStatus> tunnel_statuses(const Tunnels& tunnels);

// The local prefixes whose home this gateway is, if the others are as their objects say.
[[nodiscard]] std::vector<Prefix> homed_here(const std::string& cluster,
                                             const std::vector<Prefix>& cidrs,
                                             const std::vector<homing::GatewayView>& gateways,
                                             std::uint32_t self);
// Another local gateway as its object tells: usable if it says it is ready.
[[nodiscard]] homing::GatewayView local_view(const api::TunnelGateway& gateway,
                                             const std::vector<Prefix>& own);

// `b` tells something that `a` does not, beyond counters and the noise of measurements.
[[nodiscard]] bool tells_more(const api::TunnelGateway::Status& a,
                              const api::TunnelGateway::Status& b);

class GatewayWriter {
 public:
  static constexpr Duration kNewsGap = std::chrono::seconds(2);      // between writes of news
  static constexpr Duration kNumbersGap = std::chrono::seconds(10);  // of counters and noise

  GatewayWriter(Loop& loop, api::Store& store, Random& random);
  GatewayWriter(const GatewayWriter&) = delete;
  GatewayWriter& operator=(const GatewayWriter&) = delete;

  // The object as it should be and as the informer has it (null: there is none). Call it after
  // every change and every second or two. `urgent`: news do not wait (draining).
  void want(const api::TunnelGateway& wanted,
            const std::shared_ptr<const api::TunnelGateway>& stored, bool urgent);
  [[nodiscard]] const std::string& last_error() const { return last_error_; }

 private:
  void written(const Result<api::Object>& result, bool status);

  Loop& loop_;
  api::Store& store_;
  Random& random_;
  bool writing_ = false;
  std::optional<TimePoint> last_status_;
  TimePoint not_before_{};
  std::string last_error_;
  Backoff backoff_{std::chrono::milliseconds(200), std::chrono::seconds(30)};
  Handle request_;
};

}  // namespace cw::gateway
