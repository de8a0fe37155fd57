#include "gateway/feed/namespace_shares.h"

#include <algorithm>

namespace cw::gateway {

void NamespaceShares::add(const std::string& ns, std::size_t bytes) {
  auto& used = by_namespace_[ns];
  ++used.exports;
  ++all_.exports;
  used.bytes += bytes;
  all_.bytes += bytes;
}

void NamespaceShares::remove(const std::string& ns, std::size_t bytes) {
  const auto known = by_namespace_.find(ns);
  CW_CHECK(known != by_namespace_.end());
  --all_.exports;
  all_.bytes -= bytes;
  known->second.bytes -= bytes;
  if (--known->second.exports == 0) by_namespace_.erase(known);
}

bool NamespaceShares::fits(std::size_t exports, std::size_t bytes) const {
  return all_.exports + exports <= limits_.exports && all_.bytes + bytes <= limits_.bytes;
}

std::optional<std::string> NamespaceShares::gives_way_to(const std::string& ns, std::size_t exports,
                                                         std::size_t bytes) const {
  const auto known = by_namespace_.find(ns);
  const auto own = known == by_namespace_.end() ? Used{} : known->second;
  const auto count = by_namespace_.size() + (known == by_namespace_.end() ? 1 : 0);
  const auto share_exports = std::max<std::size_t>(1, limits_.exports / count);
  const auto share_bytes = std::max<std::size_t>(1, limits_.bytes / count);
  if (own.exports + exports > share_exports || own.bytes + bytes > share_bytes) return std::nullopt;
  std::optional<std::string> largest;
  double most = 1;
  for (const auto& [other, used] : by_namespace_) {
    if (other == ns) continue;
    const auto over =
        std::max(static_cast<double>(used.exports) / static_cast<double>(share_exports),
                 static_cast<double>(used.bytes) / static_cast<double>(share_bytes));
    if (over <= most) continue;
    most = over;
    largest = other;
  }
  return largest;
}

}  // namespace cw::gateway
