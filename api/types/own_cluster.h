// The id of this cluster as this process read it first. An id never changes (KEP-2149): remote
// clusters know this one by it and refuse what comes under another. The CRD refuses a change; a
// directory store cannot. So a later id is not used, and said.
#pragma once

#include <fmt/format.h>

#include <string>

#include "api/types/cluster_property.h"

namespace cw::api {

class OwnCluster {
 public:
  // `read`: what the ClusterProperty says now; empty: nothing.
  void take(const std::string& read) {
    if (id_.empty()) id_ = read;
    read_ = read;
  }
  [[nodiscard]] const std::string& id() const { return id_; }
  // What is wrong and what to do; empty: nothing is.
  [[nodiscard]] std::string trouble() const {
    if (read_.empty() || read_ == id_) return {};
    return fmt::format(
        "ClusterProperty {} changed from {} to {}, and a cluster keeps its id: this program goes "
        "on as {}. Write {} back, or unpair every remote cluster, restart all daemons and pair "
        "again",
        kClusterIdProperty, id_, read_, id_, id_);
  }

 private:
  std::string id_;
  std::string read_;
};

}  // namespace cw::api
