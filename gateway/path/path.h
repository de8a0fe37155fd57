// Keeps the gateway node's kernel as desired_path() wants it, besides the tunnels. Passes run on
// another thread, one at a time, and nothing else waits for them. Loop thread only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/worker.h"
#include "gateway/path/state.h"
#include "netlink/reconcile.h"

namespace cw::gateway {

// The links and addresses of the node.
struct HostView {
  std::vector<netlink::Link> links;
  std::vector<netlink::Address> addresses;
  friend bool operator==(const HostView&, const HostView&) = default;
};

class Path {
 public:
  // `background` uses `kernel`, and nothing else does. `on_change`: the owner must look again.
  Path(netlink::Kernel& kernel, Background background, std::function<void()> on_change);

  // Starts a pass if the input is new, if the kernel may have changed, or after an error.
  void set_desired(const PathInput& input);
  void mark_dirty() { dirty_ = true; }                           // the kernel may have changed
  [[nodiscard]] bool programmed() const { return programmed_; }  // a pass has ended
  [[nodiscard]] const std::vector<std::string>& errors() const { return errors_; }
  // What other programs had removed since the last call, and is there again. on_change tells.
  [[nodiscard]] std::map<std::string, std::size_t> take_restored() {
    return std::exchange(restored_, {});
  }
  [[nodiscard]] const HostView& host() const { return host_; }  // after the last pass

 private:
  void receive(netlink::PassReport report, std::optional<HostView> host);

  netlink::Kernel& kernel_;
  Background background_;
  std::function<void()> on_change_;
  std::shared_ptr<netlink::Reconciler> reconciler_;  // a pass may outlive us by a moment
  std::optional<PathInput> input_;
  bool dirty_ = true;
  bool programming_ = false;  // a pass runs
  bool programmed_ = false;
  std::vector<std::string> errors_;
  std::map<std::string, std::size_t> restored_;
  HostView host_;
};

}  // namespace cw::gateway
