// Watches everything in the store that says where pods are, and keeps the PodNetwork current. Loop
// thread only.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "api/store/informer.h"
#include "prefixes/late_watches.h"
#include "prefixes/pod_network.h"

namespace cw::prefixes {

class PodNetworkWatch {
 public:
  // `on_change` is called after each change of an object, and when synced() or available() changed.
  // `ns` is Causeway's namespace. `own_node`: a Node for own_by_source(); empty: none.
  PodNetworkWatch(Loop& loop, api::Store& store, Random& random, const std::string& ns,
                  std::function<void()> on_change, std::string own_node = {});

  // Good once every kind that this pod network needs was listed. Otherwise the error names one that
  // was not.
  [[nodiscard]] Result<> synced() const;
  [[nodiscard]] bool available() const;
  [[nodiscard]] const api::Informer<api::Node>& nodes() const { return nodes_; }
  // Meaningful once synced() is good.
  [[nodiscard]] const PodNetwork& network() const;
  // The own node's prefixes as each source has them, for messages.
  [[nodiscard]] const std::map<Source, std::vector<Prefix>>& own_by_source() const;
  // Why the ConfigMap causeway-prefixes cannot be used (its last good content holds), or an object
  // that cannot be read. Empty: all is well.
  [[nodiscard]] std::string trouble() const;

 private:
  void record_change();
  void read_settings() const;
  void begin_late_watches();
  [[nodiscard]] Objects objects() const;
  template <typename Use>
  void each(const Use& use) const;

  Loop& loop_;
  api::Store& store_;
  Random& random_;
  std::function<void()> on_change_;
  std::string own_node_;
  api::Informer<api::Node> nodes_;
  api::Informer<api::ConfigMapObject> settings_;
  api::Informer<api::CalicoBlockV1> blocks_v1_;
  api::Informer<api::CalicoBlockV3> blocks_v3_;
  api::Informer<api::CiliumNode> cilium_nodes_;
  api::Informer<api::NodeNetworkConfig> azure_;
  std::optional<BorrowWatch> borrow_;  // once the pod network is Calico's
  std::optional<RangeWatch> ranges_;   // once no node has a prefix
  // Made when they are asked for, after a change: a burst of events costs one calculation.
  mutable bool changed_ = true;
  mutable Settings last_good_;
  mutable std::string trouble_;
  mutable PodNetwork network_;
  mutable std::map<Source, std::vector<Prefix>> own_by_source_;
};

}  // namespace cw::prefixes
