// The boot phase of the gateway. It waits until the cluster id, the private key and the Node are
// known, and then makes the Gateway. Another private key is another Gateway: the old one goes
// first. A gateway that has started never waits for the store: while the store is away, the last
// known identity and state hold. Loop thread only.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gateway/gateway.h"

namespace cw::gateway {

class Coordinator {
 public:
  // `file_key`: the key of privateKeyFile, if it is configured.
  Coordinator(const Deps& deps, const Config& config, std::optional<tunnel::Key> file_key);

  // Why the gateway is not ready. Empty: it is ready. Unreachable remote clusters are no reason.
  [[nodiscard]] std::vector<std::string> not_ready() const;

  // Announces the stop everywhere, and calls `done` when nodes and remote gateways have had time to
  // move (gateway/drain.h). The data path stays.
  void drain(std::function<void()> done);

 private:
  void pass();
  void tick();
  void publish_metrics();

  Foundation base_;
  std::unique_ptr<Gateway> gateway_;  // none: the identity is not known yet
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for the metrics' callback
};

}  // namespace cw::gateway
