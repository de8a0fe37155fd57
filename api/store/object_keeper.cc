#include "api/store/object_keeper.h"

#include <algorithm>
#include <vector>

#include "base/log.h"

namespace cw::api {

namespace {

// The place in the queue of all that is due: before every time, and so in the order of the ids.
constexpr TimePoint kDue{};

void tell(LogLevel level, std::string_view event, const ObjectId& id, const std::string& error) {
  log_event(level, event,
            {{"kind", info(id.kind).name}, {"name", id.key.to_string()}, {"error", error}});
}

}  // namespace

void ObjectKeeper::look(const ObjectId& id) {
  auto& entry = entries_.try_emplace(id, limits_).first->second;
  if (entry.running) return;  // its answer compares again
  if (entry.hold != Hold::kNone && source_.cached(id) == entry.seen) return;
  entry.hold = Hold::kNone;
  enqueue(id, entry, loop_.now());
}

void ObjectKeeper::retry(const ObjectId& id) {
  const auto at = entries_.find(id);
  if (at != entries_.end() && at->second.hold == Hold::kFailure) at->second.hold = Hold::kNone;
  look(id);
}

void ObjectKeeper::stop() {
  entries_.clear();
  queue_.clear();
  outage_ = Outage(limits_);
  running_ = 0;
  timer_.reset();
}

std::string ObjectKeeper::error() const {
  if (!outage_.error.empty()) return outage_.error;
  for (const auto& [id, entry] : entries_) {
    if (!entry.error.empty()) return entry.error;
  }
  return {};
}

void ObjectKeeper::enqueue(const ObjectId& id, Entry& entry, TimePoint due) {
  if (!entry.due || due < *entry.due) {
    if (entry.due) queue_.erase({*entry.due, id});
    entry.due = due;
    queue_.emplace(due, id);
  }
  arm();
}

void ObjectKeeper::arm() {
  if (queue_.empty() || running_ >= limits_.in_flight) return timer_.reset();
  const auto at = std::max(queue_.begin()->first, outage_.until);
  if (timer_.active() && armed_ <= at) return;
  armed_ = at;
  timer_ = loop_.after(std::max(at - loop_.now(), Duration::zero()), [this] {
    timer_.reset();
    pump();
  });
}

void ObjectKeeper::pump() {
  const auto now = loop_.now();
  // By kind and name, and not by how long an object waits: a namespace that changes thousands of
  // objects at once must not delay all that changes later.
  std::vector<ObjectId> due;
  const auto first = queue_.lower_bound({kDue + Duration(1), ObjectId()});
  auto at = first;
  for (; at != queue_.end() && at->first <= now && due.size() < kSlice; ++at) {
    due.push_back(at->second);
  }
  queue_.erase(first, at);
  for (const auto& id : due) {
    entries_.at(id).due = kDue;
    queue_.emplace(kDue, id);
  }
  for (std::size_t n = 0; n < kSlice && running_ < limits_.in_flight && !queue_.empty(); ++n) {
    if (std::max(queue_.begin()->first, outage_.until) > now) break;
    const auto id = queue_.extract(queue_.begin()).value().second;
    auto& entry = entries_.at(id);
    entry.due.reset();
    entry.hold = Hold::kNone;
    compare(id, entry);
  }
  arm();
}

void ObjectKeeper::compare(const ObjectId& id, Entry& entry) {
  auto step = source_.step(id);
  auto seen = source_.cached(id);
  if (step.verb == Verb::kNone) {
    if (step.wait > Duration::zero()) return enqueue(id, entry, loop_.now() + step.wait);
    if (!entry.error.empty()) tell(LogLevel::kInfo, "object is as wanted again", id, entry.error);
    if (!entry.due) entries_.erase(id);
    return;
  }
  std::optional<std::size_t> asked;
  if (step.verb == Verb::kUpdate || step.verb == Verb::kStatus) {
    asked = std::hash<nlohmann::json>{}(step.body);
    if (entry.asked == asked && entry.seen == seen) return;  // the store ignored the same write
  }
  entry.asked = asked;
  entry.seen = std::move(seen);
  entry.running = true;
  ++running_;
  if (step.verb != Verb::kRead) ++writes_;
  entry.request = request(id, std::move(step));
}

Handle ObjectKeeper::request(const ObjectId& id, Step step) {
  auto done = [this, id, verb = step.verb, version = step.version](Result<Object> result) {
    finish(id, verb, version, std::move(result));
  };
  Object object{id.kind, id.key, std::move(step.version), std::move(step.body)};
  switch (step.verb) {
    case Verb::kCreate:
      return store_.create(std::move(object), std::move(done));
    case Verb::kUpdate:
      return store_.update(std::move(object), std::move(done));
    case Verb::kStatus:
      return store_.update_status(std::move(object), std::move(done));
    case Verb::kRemove:
      return store_.remove(id.kind, id.key, object.resource_version,
                           [done = std::move(done)](const Result<>& result) {
                             done(result ? Result<Object>(Object{}) : fail(result.error()));
                           });
    case Verb::kRead:
    case Verb::kNone:
      break;
  }
  return store_.get(id.kind, id.key, std::move(done));
}

// NOLINTNEXTLINE(performance-unnecessary-value-param): the caller's copies go with the handle
void ObjectKeeper::finish(ObjectId id, Verb verb, std::string based_on, Result<Object> result) {
  if (source_.on_answer) source_.on_answer(id, verb, result);
  const auto at = entries_.find(id);
  if (at == entries_.end()) return;  // on_answer() called stop()
  auto& entry = at->second;
  entry.request.reset();
  entry.running = false;
  --running_;
  const bool absent = !result && result.error().code == Errc::kNotFound;
  if (!result && !(absent && (verb == Verb::kRead || verb == Verb::kRemove))) {
    entry.asked.reset();
    return failed(id, entry, result.error());
  }
  const bool ignored = entry.asked && result->resource_version == based_on;
  if (ignored) {
    entry.seen = source_.cached(id);  // a writer without an informer just replaced it
  } else {
    entry.asked.reset();
    const bool lags = verb != Verb::kRead && source_.cached(id) == entry.seen;
    entry.hold = lags ? Hold::kLag : Hold::kNone;
  }
  succeeded(id, entry);
}

void ObjectKeeper::succeeded(const ObjectId& id, Entry& entry) {
  if (!outage_.error.empty()) log_info("store takes requests again", {{"was", outage_.error}});
  outage_ = Outage(limits_);
  if (!entry.error.empty()) tell(LogLevel::kInfo, "object is written again", id, entry.error);
  entry.error.clear();
  entry.backoff.reset();
  const auto lag = entry.hold == Hold::kLag ? kMaxLag : Duration::zero();
  enqueue(id, entry, loop_.now() + lag);
}

void ObjectKeeper::failed(const ObjectId& id, Entry& entry, const Error& error) {
  const auto now = loop_.now();
  if (error.code == Errc::kUnavailable) {
    if (outage_.error != error.text) tell(LogLevel::kWarn, "objects not written", id, error.text);
    outage_.error = error.text;
    if (now >= outage_.until) outage_.until = now + outage_.backoff.next(random_);
    return enqueue(id, entry, outage_.until);
  }
  const bool raced =
      error.code == Errc::kConflict || error.code == Errc::kExists || error.code == Errc::kNotFound;
  if (!raced && entry.error != error.text)
    tell(LogLevel::kWarn, "object not written", id, error.text);
  if (!raced) entry.error = error.text;
  entry.hold = Hold::kFailure;
  enqueue(id, entry, now + entry.backoff.next(random_));
}

}  // namespace cw::api
