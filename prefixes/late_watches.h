// Watches of objects that only some clusters need read, each begun when it is needed:
//   BorrowWatch   Calico's IPAMBlocks, while its rules let nodes borrow addresses
//   RangeWatch    the objects that say the ranges of the cluster as a whole
// A watch that is refused does not stop anything: its objects count as absent, and trouble() says
// so. Loop thread only.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "api/store/informer.h"
#include "prefixes/pod_network.h"

namespace cw::prefixes {

// Where a watch reads, and whom it tells.
struct WatchPlace {
  Loop& loop;
  api::Store& store;
  Random& random;
  std::function<void()> on_change;
};

class BorrowWatch {
 public:
  explicit BorrowWatch(const WatchPlace& place);
  [[nodiscard]] bool settled() const;  // every kind was listed, or its list failed
  [[nodiscard]] std::string trouble() const;
  // Empty while `strictAffinity` is true.
  [[nodiscard]] const Borrowed& borrowed() const { return borrowed_; }

 private:
  struct Blocks;
  [[nodiscard]] bool strict() const;
  void receive_config();
  void receive_blocks();

  WatchPlace place_;
  api::Informer<api::CalicoIpamConfigV1> config_v1_;
  api::Informer<api::CalicoIpamConfigV3> config_v3_;
  // Thousands of large objects, which change with every pod. They are read only while the
  // configuration, once known, allows to borrow. A change without a borrowed address calls nothing.
  std::shared_ptr<Blocks> blocks_;
  Borrowed borrowed_;
};

class RangeWatch {
 public:
  explicit RangeWatch(const WatchPlace& place);
  [[nodiscard]] bool settled() const;
  [[nodiscard]] std::string trouble() const;
  void add_to(Objects& objects) const;

 private:
  template <typename Use>
  void each(const Use& use) const;

  api::Informer<api::CalicoPoolV1> pools_v1_;
  api::Informer<api::CalicoPoolV3> pools_v3_;
  api::Informer<api::OpenShiftNetwork> openshift_;
  std::vector<std::unique_ptr<api::Informer<api::ConfigMapObject>>> config_maps_;
};

}  // namespace cw::prefixes
