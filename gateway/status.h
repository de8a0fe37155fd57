// The TunnelGateway object of this gateway: its status from the current measurements, which changes
// are news, and its writer. Loop thread only.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "api/store/object_keeper.h"
#include "api/types/tunnel_gateway.h"
#include "gateway/peers/device.h"
#include "gateway/tunnels.h"

namespace cw::gateway {

[[nodiscard]] api::ObjectKey gateway_key(std::uint32_t ordinal);  // "gateway-0"

// One tunnel per remote gateway, in order.
[[nodiscard]] std::vector<api::TunnelStatus> tunnel_statuses(const Tunnels& tunnels);

// The local prefixes whose home this gateway is, if the other gateways are as their objects say.
[[nodiscard]] std::vector<Prefix> homed_here(const std::string& cluster,
                                             const std::vector<Prefix>& cidrs,
                                             const std::vector<homing::GatewayView>& gateways,
                                             std::uint32_t self);
// Another local gateway according to its object. It is usable if its condition Ready is True.
[[nodiscard]] homing::GatewayView local_view(const api::TunnelGateway& gateway,
                                             const std::vector<Prefix>& own);

// True: `b` differs from `a` by more than counters and the noise of measurements.
[[nodiscard]] bool tells_more(const api::TunnelGateway::Status& a,
                              const api::TunnelGateway::Status& b);

class GatewayWriter {
 public:
  static constexpr Duration kNewsGap = std::chrono::seconds(2);      // between writes of news
  static constexpr Duration kNumbersGap = std::chrono::seconds(10);  // of counters and noise

  GatewayWriter(Loop& loop, api::Store& store, Random& random);

  // The object as it should be and as the informer has it (null: there is none). Call it after
  // every change and every second or two. `urgent`: news do not wait (draining).
  void want(const api::TunnelGateway& wanted, std::shared_ptr<const api::TunnelGateway> stored,
            bool urgent);

 private:
  [[nodiscard]] api::Step step() const;

  Loop& loop_;
  api::TunnelGateway wanted_;
  std::shared_ptr<const api::TunnelGateway> stored_;
  bool urgent_ = false;
  std::optional<TimePoint> last_status_;
  api::ObjectKeeper keeper_;
};

}  // namespace cw::gateway
