// How much one cluster announces, and how its namespaces share that: a namespace that keeps within
// its share is announced whatever the others export. The gateway that announces and discovery,
// which says so in the conditions, compute the same from the same exports. Pure.
#pragma once

#include <cstddef>
#include <map>
#include <set>

#include "api/types/export_record.h"

namespace cw::api {

inline constexpr std::size_t kMaxExports = 10'000;          // of one cluster
inline constexpr std::size_t kMaxExportBytes = 32U << 20U;  // of one cluster, by record_bytes()

// At least as many bytes as the record takes in a message of the feed (gateway/feed/messages.h),
// and about as many.
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

// The exports that are not announced. None while all fit. Else every namespace has the limits
// divided by the number of namespaces, filled from its oldest export on; what then is free goes to
// the oldest of the rest. Within a share, an export that is too large is skipped for later ones.
[[nodiscard]] std::set<ObjectKey> crowded_out(const ExportWeights& exports,
                                              const ShareLimits& limits = {});

}  // namespace cw::api
