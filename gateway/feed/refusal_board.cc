#include "gateway/feed/refusal_board.h"

#include "gateway/feed/messages.h"

namespace cw::gateway {

bool RefusalBoard::set(const std::map<std::string, RefusalReport>& reports) {
  bool changed = std::erase_if(entries_, [&](const auto& entry) {
                   return reports.count(entry.first) == 0;
                 }) != 0;
  for (const auto& [cluster, report] : reports) {
    auto& entry = entries_[cluster];
    if (entry.version != 0 && entry.report == report) continue;
    entry = {report, encode_statement(report), ++version_};
    changed = true;
  }
  return changed;
}

std::optional<std::string> RefusalBoard::next(const std::string& cluster,
                                              std::uint64_t& sent) const {
  const auto found = entries_.find(cluster);
  if (found == entries_.end() || found->second.version == sent) return std::nullopt;
  sent = found->second.version;
  return found->second.message;
}

}  // namespace cw::gateway
