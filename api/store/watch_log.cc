#include "api/store/watch_log.h"

#include <utility>

#include "base/number.h"

namespace cw::api {

void WatchLog::append(EventType type, Object object) {
  ++last_;
  auto event = std::make_shared<WatchEvent>();
  event->type = type;
  event->object = std::move(object);
  log_.push_back({last_, std::move(event)});
  if (log_.size() > kKeep) log_.pop_front();
  schedule();
}

Handle WatchLog::watch(const Selector& selector, const std::string& version, WatchHandler handler) {
  auto watcher = std::make_shared<Watcher>();
  watcher->selector = selector;
  watcher->handler = std::move(handler);
  // 0: the version is unknown or too old. deliver() then reports it as expired.
  watcher->next = 0;
  const auto prefix = epoch_ + "-";
  if (version.rfind(prefix, 0) == 0) {
    const auto after = number_of<std::uint64_t>(std::string_view(version).substr(prefix.size()));
    if (after && *after <= last_) watcher->next = *after + 1;
  }
  const auto id = ++last_id_;
  watchers_.emplace(id, watcher);
  schedule();
  return Handle([this, id] {
    if (const auto found = watchers_.find(id); found != watchers_.end()) {
      found->second->ended = true;
      watchers_.erase(found);
    }
  });
}

void WatchLog::end_all(const Error& error) {
  if (error.code == Errc::kExpired) log_.clear();
  const auto watchers = watchers_;
  watchers_.clear();
  for (const auto& [id, watcher] : watchers) {
    pending_.push_back(loop_.after(Duration::zero(), [watcher = watcher, error] {
      if (watcher->ended) return;
      watcher->ended = true;
      watcher->handler.on_end(error);
    }));
  }
}

void WatchLog::schedule() {
  if (timer_.active()) return;
  timer_ = loop_.after(Duration::zero(), [this] {
    timer_.reset();
    deliver();
  });
}

void WatchLog::deliver() {
  const auto watchers = watchers_;  // callbacks may add and remove watchers
  for (const auto& [id, watcher] : watchers) {
    const auto oldest = log_.empty() ? last_ + 1 : log_.front().sequence;
    if (watcher->ended) continue;
    if (watcher->next == 0 || watcher->next < oldest) {
      watcher->ended = true;
      watchers_.erase(id);
      watcher->handler.on_end({Errc::kExpired, "the watch's version is too old; list again"});
      continue;
    }
    if (!std::exchange(watcher->opened, true) && watcher->handler.on_open) {
      watcher->handler.on_open();
    }
    while (!watcher->ended && watcher->next <= last_) {
      const auto index = watcher->next - log_.front().sequence;
      const auto event = log_[static_cast<std::size_t>(index)].event;
      const auto sequence = watcher->next++;
      if (!selected(watcher->selector, event->object)) continue;
      auto copy = *event;
      // The version from which this watcher can resume. The body keeps the object's own version.
      copy.object.resource_version = version_of(sequence);
      watcher->handler.on_event(std::move(copy));
    }
  }
}

}  // namespace cw::api
