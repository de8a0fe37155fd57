// How a daemon shows what is wrong with its store: a metric, and a reason in /readyz.
#pragma once

#include <fmt/format.h>

#include <string>
#include <vector>

#include "api/store/store.h"
#include "base/metrics.h"

namespace cw::api {

// The store outlives all scrapes.
inline void add_store_metrics(const Store& store, Metrics& metrics) {
  auto& unreadable = metrics.gauge("causeway_store_unreadable_entries",
                                   "Entries of the directory store that are skipped because they "
                                   "cannot be read; the log names them.");
  auto& blocked = metrics.gauge("causeway_store_blocked",
                                "1 while nothing can be written to the store, or its server says "
                                "nothing; the log says why.");
  metrics.before_scrape([&store, &unreadable, &blocked] {
    const auto trouble = store.trouble();
    unreadable.set(static_cast<double>(trouble.unreadable));
    blocked.set(trouble.blocked.empty() ? 0 : 1);
  });
}

// `reasons` and the store's.
[[nodiscard]] inline std::vector<std::string> with_store(std::vector<std::string> reasons,
                                                         const Store& store) {
  if (auto trouble = store.trouble(); !trouble.blocked.empty()) {
    reasons.push_back("store: " + std::move(trouble.blocked));
  }
  return reasons;
}

}  // namespace cw::api
