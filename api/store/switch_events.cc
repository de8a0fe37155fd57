#include "api/store/switch_events.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"

namespace cw::api {

void SwitchDigest::merge(Entry entry) {
  const auto same = std::find_if(entries_.begin(), entries_.end(), [&](const auto& one) {
    return one.note.what == entry.note.what && one.note.from == entry.note.from &&
           one.note.to == entry.note.to && one.note.reason == entry.note.reason;
  });
  if (same != entries_.end()) {
    entry.note.count += same->note.count;
    entry.first = std::min(entry.first, same->first);
    entry.note.warning = entry.note.warning || same->note.warning;
    entries_.erase(same);
  }
  entries_.push_back(std::move(entry));
  if (entries_.size() <= kMost) return;
  forgotten_ += entries_.front().note.count;
  entries_.pop_front();
}

void SwitchDigest::add(const SwitchNote& note) { merge({note, note.when}); }

void SwitchDigest::put_back(const SwitchDigest& older) {
  SwitchDigest all = older;
  all.forgotten_ += forgotten_;
  for (const auto& entry : entries_) all.merge(entry);
  *this = std::move(all);
}

SwitchDigest::Told SwitchDigest::told() const {
  Told told;
  told.note.reason = "Switched";
  told.span.count = forgotten_;
  bool begun = false;
  // Newest first, because a message that is too long is cut at its end.
  for (auto entry = entries_.rbegin(); entry != entries_.rend(); ++entry) {
    const auto& note = entry->note;
    told.note.warning = told.note.warning || note.warning;
    told.span.count += note.count;
    told.span.first = begun ? std::min(told.span.first, entry->first) : entry->first;
    told.span.last = begun ? std::max(told.span.last, note.when) : note.when;
    told.note.message += fmt::format("{}{}: {} -> {}: {} ({}{})", begun ? " | " : "", note.what,
                                     note.from, note.to, note.reason, format_time(note.when),
                                     note.count > 1 ? fmt::format(", {} times", note.count) : "");
    begun = true;
  }
  if (forgotten_ > 0) told.note.message += fmt::format(" | and {} earlier", forgotten_);
  return told;
}

Duration SwitchPace::first(TimePoint now, Random& random) {
  if (now - quiet_since_ > 2 * gap_) gap_ = kGather;
  const auto spread = static_cast<std::uint64_t>(kSpread.count());
  return gap_ + Duration(static_cast<Duration::rep>(random.next() % spread));
}

void SwitchPace::written(TimePoint now) {
  gap_ = std::min<Duration>(2 * gap_, kLongest);
  quiet_since_ = now;
}

SwitchEvents::SwitchEvents(Loop& loop, Store& store, Random& random, EventSource source, Kind kind,
                           About about)
    : loop_(loop),
      store_(store),
      random_(random),
      source_(std::move(source)),
      kind_(kind),
      about_(std::move(about)) {}

void SwitchEvents::add(const SwitchNote& note) {
  if (!store_.keeps_events()) return;
  waiting_.add(note);
  if (timer_.active() || writing_) return;
  schedule(pace_.first(loop_.now(), random_));
}

void SwitchEvents::schedule(Duration delay) {
  timer_ = loop_.after(delay, [this] {
    timer_.reset();
    write();
  });
}

void SwitchEvents::write() {
  const auto about = about_();
  if (!about) return schedule(backoff_.next(random_));
  writing_ = std::exchange(waiting_, {});
  const auto told = writing_->told();
  request_ =
      store_.create(event_object(kind_, *about, source_, told.note, told.span, random_.next()),
                    [this](const Result<Object>& result) { written(result); });
}

void SwitchEvents::written(const Result<Object>& result) {
  request_.reset();
  auto was = std::exchange(writing_, std::nullopt);
  pace_.written(loop_.now());
  const auto code = result ? Errc::kInvalid : result.error().code;
  // A refused write would be refused again.
  if (code != Errc::kUnavailable && code != Errc::kInternal) {
    if (!result) log_warn("event not written", {{"error", result.error().text}});
    backoff_.reset();
    if (!waiting_.empty()) schedule(pace_.gap());
    return;
  }
  waiting_.put_back(*was);
  schedule(backoff_.next(random_));
}

}  // namespace cw::api
