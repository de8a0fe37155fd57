// The remote clusters that this host reaches, from the file of its route agent (base/reach.h).
// Gateways write ClusterPeer.status, which is outdated while the store is away. So the file is used
// then, and until the gateways have had time to write new values. Loop thread only.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "api/mcs/serving.h"
#include "base/loop.h"

namespace cw::discovery {

class AgentReach {
 public:
  // `file` may be empty: it is never used.
  AgentReach(Loop& loop, std::string file, std::function<void()> on_change)
      : loop_(loop), file_(std::move(file)), on_change_(std::move(on_change)) {}

  // Call when the store's availability changed.
  void set_store_available(bool available);
  // True: the file is used now, in place of ClusterPeer.status.
  [[nodiscard]] bool used() const { return reached_.has_value(); }
  // `away` by ClusterPeer.status, corrected by the file if it is used.
  [[nodiscard]] api::Away corrected(api::Away away) const;

 private:
  void read();
  void stop();

  Loop& loop_;
  std::string file_;
  std::function<void()> on_change_;
  std::optional<std::map<std::string, bool>> reached_;  // while used
  std::map<std::string, WallTime> lost_since_;          // of the clusters that it does not reach
  std::string trouble_;
  Handle timer_;
  Handle ends_;  // set when the store is back; the file is used until it fires
};

}  // namespace cw::discovery
