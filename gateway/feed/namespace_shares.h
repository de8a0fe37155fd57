// Counts how full the namespaces of one remote cluster make its limits, and decides which one gives
// way when they are full. A namespace within its share takes room from the namespace that is
// furthest over its own. An honest sender shares already (api/mcs/shares.h); this limits others.
// Pure.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "api/mcs/shares.h"

namespace cw::gateway {

class NamespaceShares {
 public:
  explicit NamespaceShares(const api::ShareLimits& limits = {}) : limits_(limits) {}

  void add(const std::string& ns, std::size_t bytes);
  void remove(const std::string& ns, std::size_t bytes);
  // True: `exports` more (0 or 1) and `bytes` more fit.
  [[nodiscard]] bool fits(std::size_t exports, std::size_t bytes) const;
  // The namespace that loses exports to such an export of `ns`. None: the export is refused.
  [[nodiscard]] std::optional<std::string> gives_way_to(const std::string& ns, std::size_t exports,
                                                        std::size_t bytes) const;

 private:
  struct Used {
    std::size_t exports = 0;
    std::size_t bytes = 0;
  };
  api::ShareLimits limits_;
  Used all_;
  std::map<std::string, Used> by_namespace_;
};

}  // namespace cw::gateway
