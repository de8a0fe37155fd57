// How full the namespaces of one remote cluster make its limits, and who gives way when they are
// full: a namespace that keeps within its share takes room from the one that is furthest over its
// own. An honest sender has shared already (api/mcs/shares.h); this bounds what others do. Pure.
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
  // Whether `exports` more (0 or 1) of `bytes` more fit.
  [[nodiscard]] bool fits(std::size_t exports, std::size_t bytes) const;
  // The namespace whose exports go for such an export of `ns`; none: the export is refused.
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
