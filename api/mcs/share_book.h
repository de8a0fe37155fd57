// The weights of all valid exports of one cluster, and which of them do not fit its limits
// (shares.h).
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "api/mcs/shares.h"
#include "api/types/service_export.h"

namespace cw::api {

class ShareBook {
 public:
  explicit ShareBook(const ShareLimits& limits) : limits_(limits) {}

  // The record of a valid export. Null: it is not valid, or gone.
  void set(const ObjectKey& key, const ExportRecord* record);
  // Determines which exports fit. Returns those for which the answer changed.
  [[nodiscard]] std::vector<ObjectKey> share();
  [[nodiscard]] bool fits(const ObjectKey& key) const { return crowded_out_.count(key) == 0; }
  // The condition of an export that does not fit, as of the last share().
  [[nodiscard]] Condition over_share(const ServiceExport& object) const;

 private:
  ShareLimits limits_;
  ExportWeights weights_;
  std::size_t weight_ = 0;                    // their sum, in bytes
  std::set<ObjectKey> crowded_out_;           // those that do not fit
  std::map<std::string, ShareLimits> usage_;  // by namespace, as of the last share()
};

}  // namespace cw::api
