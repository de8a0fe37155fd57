// Keeps this cluster's objects as the view wants them, while this replica has the Lease:
// ServiceImports, derived objects and conditions of exports. Loop thread only.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>

#include "api/mcs/export_book.h"
#include "discovery/burst_detector.h"
#include "discovery/object_writer.h"

namespace cw::discovery {

class Objects {
 public:
  // `derive`: vip: clusterip. `on_due`: update() must be called again.
  Objects(Loop& loop, api::Store& store, Random& random, const Sources& sources, bool derive,
          std::function<void()> on_due);

  // Records which cached objects changed. Call on every replica.
  void record(const Changes& changes);
  // The IP families of this cluster's pods. True: they changed, so all objects must be updated.
  bool set_families(std::set<std::string> families);
  // Sets what the services `changed` should have, and the exports that `book` evaluated last. The
  // first call after stop() sets everything.
  void update(Keys changed, const View& view, const api::ExportBook& book);
  void stop();  // another replica writes now
  [[nodiscard]] std::uint64_t writes() const { return writer_.writes(); }

 private:
  // Initial sync: when two clusters connect, thousands of RemoteExports arrive. DNS names need only
  // them. So the API server first gets the RemoteExports, and new ServiceImports wait. kBurst
  // RemoteExports in kWindow count as an initial sync. Creations wait for kLongestWait at most. All
  // names then come sooner, and the ServiceImports come no later.
  static constexpr std::size_t kBurst = 50;
  static constexpr Duration kWindow = std::chrono::milliseconds(500);
  static constexpr Duration kLongestWait = std::chrono::seconds(60);
  void defer_creates();

  Loop& loop_;
  const Sources& sources_;
  bool derive_;
  std::function<void()> on_due_;
  ObjectWriter writer_;
  std::set<std::string> families_;
  bool writing_ = false;
  BurstDetector burst_{kBurst, kWindow};
  std::optional<TimePoint> initial_sync_since_;
  Handle timer_;
};

}  // namespace cw::discovery
