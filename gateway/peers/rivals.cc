#include "gateway/peers/rivals.h"

#include <algorithm>

namespace cw::gateway {

void KeyRivals::record(const GatewayId& id, const std::optional<Endpoint>& seen,
                       std::uint64_t rx_bytes, const std::optional<Endpoint>& ours, TimePoint now) {
  auto& watch = watches_[id];
  while (!watch.changes.empty() && now - watch.changes.front().at > kWindow) {
    watch.changes.pop_front();
  }
  const bool set_by_us = ours != watch.ours;
  const bool heard = rx_bytes > watch.rx_bytes;
  if (seen && seen != watch.last && heard && !set_by_us) {
    const bool back = std::any_of(watch.changes.begin(), watch.changes.end(),
                                  [&](const Change& change) { return change.to == *seen; });
    watch.changes.push_back({now, *seen, back});
  }
  watch.last = seen;
  watch.ours = ours;
  watch.rx_bytes = rx_bytes;
}

void KeyRivals::keep_only(const std::set<GatewayId>& ids) {
  std::erase_if(watches_, [&](const auto& one) { return ids.count(one.first) == 0; });
}

std::set<Endpoint> KeyRivals::rivals(const GatewayId& id) const {
  const auto at = watches_.find(id);
  if (at == watches_.end()) return {};
  std::set<Endpoint> places;
  std::size_t returns = 0;
  for (const auto& change : at->second.changes) {
    if (!change.back) continue;
    ++returns;
    places.insert(change.to);
  }
  return returns < kReturns ? std::set<Endpoint>{} : places;
}

}  // namespace cw::gateway
