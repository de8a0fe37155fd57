// Detects two hosts with one key: a restored backup beside the original, or a gateway's old device
// that still runs. Each of their packets moves the peer's endpoint, so the endpoint returns again
// and again to where it was. A gateway that roams, or a NAT that forgets, never returns that often.
// Pure: time is an argument.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "base/loop.h"
#include "base/prefix.h"
#include "gateway/feed/statement.h"

namespace cw::gateway {

class KeyRivals {
 public:
  static constexpr Duration kWindow = std::chrono::seconds(60);
  static constexpr std::size_t kReturns = 3;  // within the window

  // Records the state of the peer, about every second. `ours`: the endpoint that this gateway set
  // last. A change that this gateway made does not count.
  void record(const GatewayId& id, const std::optional<Endpoint>& seen, std::uint64_t rx_bytes,
              const std::optional<Endpoint>& ours, TimePoint now);
  void keep_only(const std::set<GatewayId>& ids);
  // The endpoints of the two hosts. Empty: there is one host.
  [[nodiscard]] std::set<Endpoint> rivals(const GatewayId& id) const;

 private:
  struct Change {
    TimePoint at{};
    Endpoint to;
    bool back = false;  // the endpoint was there before, within the window
  };
  struct Watch {
    std::optional<Endpoint> last;
    std::optional<Endpoint> ours;
    std::uint64_t rx_bytes = 0;
    std::deque<Change> changes;
  };
  std::map<GatewayId, Watch> watches_;
};

}  // namespace cw::gateway
