// Shows what is wrong with a daemon's store: metrics, and a reason in /readyz.
#pragma once

#include <fmt/format.h>

#include <string>
#include <vector>

#include "api/store/store.h"
#include "base/metrics.h"

namespace cw::api {

// `store` must outlive all scrapes.
inline void add_store_metrics(const Store& store, Metrics& metrics) {
  auto& unreadable = metrics.gauge("causeway_store_unreadable_entries",
                                   "Entries of the directory store that are skipped because they "
                                   "cannot be read; the log names them.");
  auto& blocked =
      metrics.gauge("causeway_store_blocked",
                    "1 while the store cannot be written or its server does not respond; "
                    "the log says why.");
  metrics.before_scrape([&store, &unreadable, &blocked] {
    const auto trouble = store.trouble();
    unreadable.set(static_cast<double>(trouble.unreadable));
    blocked.set(trouble.blocked.empty() ? 0 : 1);
  });
}

// `reasons`, and the store's reason if it has one.
[[nodiscard]] inline std::vector<std::string> with_store(std::vector<std::string> reasons,
                                                         const Store& store) {
  if (auto trouble = store.trouble(); !trouble.blocked.empty()) {
    reasons.push_back("store: " + std::move(trouble.blocked));
  }
  return reasons;
}

}  // namespace cw::api
