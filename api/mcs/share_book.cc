#include "api/mcs/share_book.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace cw::api {

void ShareBook::set(const ObjectKey& key, const ExportRecord* record) {
  if (const auto known = weights_.find(key); known != weights_.end()) {
    weight_ -= known->second.bytes;
    weights_.erase(known);
  }
  if (record == nullptr) return;
  const ExportWeight weight{record_bytes(*record), record->exported_at};
  weight_ += weight.bytes;
  weights_.emplace(key, weight);
}

std::vector<ObjectKey> ShareBook::share() {
  const bool all_fit = weights_.size() <= limits_.exports && weight_ <= limits_.bytes;
  if (all_fit && crowded_out_.empty()) return {};
  auto next = crowded_out(weights_, limits_);
  usage_.clear();
  for (const auto& [key, weight] : weights_) {
    auto& used = usage_.try_emplace(key.ns, ShareLimits{0, 0}).first->second;
    ++used.exports;
    used.bytes += weight.bytes;
  }
  std::vector<ObjectKey> moved;
  std::set_symmetric_difference(next.begin(), next.end(), crowded_out_.begin(), crowded_out_.end(),
                                std::back_inserter(moved));
  crowded_out_ = std::move(next);
  return moved;
}

Condition ShareBook::over_share(const ServiceExport& object) const {
  const auto& ns = object.meta.key.ns;
  const auto& [exports, bytes] = usage_.at(ns);
  return {"Valid",
          ConditionStatus::kFalse,
          "OverShare",
          fmt::format("not announced: namespace {} exports {} Services of {} KiB, and its share of "
                      "what this cluster announces is {} Services and {} KiB; remove exports of "
                      "the namespace, or exported labels and annotations",
                      ns, exports, bytes >> 10U, limits_.exports / usage_.size(),
                      (limits_.bytes / usage_.size()) >> 10U),
          object.meta.generation,
          {}};
}

}  // namespace cw::api
