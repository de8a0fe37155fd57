// Serves the table that an earlier replica kept on disk (table_keeper.h), from the start until the
// store answers or the table is too old. Loop thread only.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "discovery/agent_reach.h"
#include "discovery/last_known.h"
#include "discovery/served_names.h"

namespace cw::discovery {

class KeptNames {
 public:
  // Reads config.table_file and publishes its table, or logs why there is none. Blocks. Config and
  // Outlet must outlive it.
  KeptNames(Loop& loop, const Config& config, Outlet& outlet);

  // The age of the table while it is served. No value: it is not served.
  [[nodiscard]] std::optional<Duration> age() const;
  [[nodiscard]] const std::string& why_none() const { return why_none_; }
  // Publishes the table again if `reach` changed it.
  void update(const AgentReach& reach);
  void stop();  // the store's names are served now

 private:
  struct Served {
    LastKnown known;
    WallTime current_until;
    ServedNames names;
  };
  void expire();

  Loop& loop_;
  const Config& config_;
  Outlet& outlet_;
  std::unique_ptr<Served> served_;
  std::string why_none_;
  Handle expiry_;
};

}  // namespace cw::discovery
