#include "gateway/feed/refusal_inbox.h"

#include <utility>

namespace cw::gateway {

RefusalInbox::RefusalInbox(Loop& loop, std::function<void(const Reports& told)> on_change)
    : loop_(loop), on_change_(std::move(on_change)) {}

void RefusalInbox::receive(const std::string& cluster, RefusalReport report) {
  auto& sender = senders_[cluster];
  sender.waiting = std::move(report);
  if (!sender.timer.active()) take(cluster);
}

void RefusalInbox::take(const std::string& cluster) {
  auto& sender = senders_.at(cluster);
  sender.timer.reset();
  const auto known = told_.find(cluster);
  // The same again costs nothing: each new stream begins with a report.
  if (known != told_.end() && known->second == sender.waiting) return sender.waiting.reset();
  const auto now = loop_.now();
  if (const auto wait = sender.tokens.wait(now); wait > Duration::zero()) {
    sender.timer = loop_.after(wait, [this, name = cluster] { take(std::string(name)); });
    return;
  }
  sender.tokens.take(1, now);
  told_[cluster] = *std::exchange(sender.waiting, std::nullopt);
  on_change_(told_);
}

void RefusalInbox::keep_only(const std::set<std::string>& clusters) {
  std::erase_if(senders_, [&](const auto& one) { return clusters.count(one.first) == 0; });
  const auto gone =
      std::erase_if(told_, [&](const auto& one) { return clusters.count(one.first) == 0; });
  if (gone != 0) on_change_(told_);
}

}  // namespace cw::gateway
