// How much one cluster announces, and how its namespaces share that. A namespace within its share
// is announced whatever the others export. The gateway, which announces, and discovery, which sets
// the conditions, compute the same result from the same exports. Pure.
#pragma once

#include <cstddef>
#include <map>
#include <set>

#include "api/types/export_record.h"

namespace cw::api {

inline constexpr std::size_t kMaxExports = 10'000;          // per cluster
inline constexpr std::size_t kMaxExportBytes = 32U << 20U;  // per cluster, by record_bytes()

// An upper bound of the bytes that the record takes in a message of the feed
// (gateway/feed/messages.h), and close to it.
[[nodiscard]] std::size_t record_bytes(const ExportRecord& record);

struct ExportWeight {
  std::size_t bytes = 0;
  WallTime since{};  // the ServiceExport's creation
  friend bool operator==(const ExportWeight&, const ExportWeight&) = default;
};
using ExportWeights = std::map<ObjectKey, ExportWeight>;

struct ShareLimits {
  std::size_t exports = kMaxExports;
  std::size_t bytes = kMaxExportBytes;
};

// The exports that are not announced: none if all fit. Otherwise each namespace's share is the
// limits divided by the number of namespaces. It is filled from the namespace's oldest export on.
// The space that is left goes to the oldest of the remaining exports. An export that is too large
// for a share is skipped, and later ones may still fit.
[[nodiscard]] std::set<ObjectKey> crowded_out(const ExportWeights& exports,
                                              const ShareLimits& limits = {});

}  // namespace cw::api
