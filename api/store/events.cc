#include "api/store/events.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/log.h"

namespace cw::api {

namespace {

bool bad(const Condition& condition) {
  const auto wrong =
      condition.type == "Conflict" ? ConditionStatus::kTrue : ConditionStatus::kFalse;
  return condition.status == wrong && condition.reason != "Pending";
}

// At most `most` bytes, cut between UTF-8 characters.
std::string shortened(const std::string& text, std::size_t most) {
  if (text.size() <= most) return text;
  auto end = most;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80U) --end;
  return text.substr(0, end);
}

}  // namespace

std::vector<Note> notes_of(std::span<const Condition> before, std::span<const Condition> after) {
  std::vector<Note> notes;
  for (const auto& now : after) {
    const auto was = std::find_if(before.begin(), before.end(), [&](const auto& condition) {
      return condition.type == now.type;
    });
    const bool was_bad = was != before.end() && bad(*was);
    if (bad(now) ? was_bad && was->reason == now.reason
                 : !was_bad || now.status == ConditionStatus::kUnknown) {
      continue;
    }
    notes.push_back({bad(now), now.reason.empty() ? now.type : now.reason,
                     fmt::format("{}: {}", now.type, now.message)});
  }
  return notes;
}

Object event_object(Kind kind, const ObjectMeta& about, const EventSource& source, const Note& note,
                    const EventSpan& span, std::uint64_t unique) {
  const auto& object = info(kind);
  // Events of cluster-scoped objects stand in "default", as Kubernetes' own do.
  const ObjectKey key{about.key.ns.empty() ? "default" : about.key.ns,
                      fmt::format("{}.{:016x}", shortened(about.key.name, 200), unique)};
  nlohmann::json subject = {{"apiVersion", object.api_version},
                            {"kind", object.name},
                            {"name", about.key.name},
                            {"uid", about.uid},
                            {"resourceVersion", about.resource_version}};
  if (!about.key.ns.empty()) subject["namespace"] = about.key.ns;
  nlohmann::json body = {{"apiVersion", "v1"},
                         {"kind", "Event"},
                         {"metadata", {{"namespace", key.ns}, {"name", key.name}}},
                         {"involvedObject", std::move(subject)},
                         {"type", note.warning ? "Warning" : "Normal"},
                         {"reason", shortened(note.reason, 128)},
                         {"message", shortened(note.message, kMaxEventMessage)},
                         {"source", {{"component", source.component}, {"host", source.instance}}},
                         {"reportingComponent", source.component},
                         {"reportingInstance", source.instance},
                         {"firstTimestamp", format_time(span.first)},
                         {"lastTimestamp", format_time(span.last)},
                         {"count", span.count}};
  return {Kind::kEvent, key, {}, std::move(body)};
}

EventRecorder::EventRecorder(Loop& loop, Store& store, Random& random, std::string component,
                             std::string instance)
    : loop_(loop),
      store_(store),
      random_(random),
      source_{std::move(component), std::move(instance)},
      refilled_(loop.now()) {}

bool EventRecorder::allowed(const std::string& what) {
  const auto now = loop_.now();
  std::erase_if(told_, [&](const auto& entry) { return now - entry.second >= kRepeat; });
  if (told_.count(what) != 0) return false;
  const auto more = static_cast<std::size_t>((now - refilled_) / kRefill);
  if (more > 0) {
    tokens_ = std::min(kBurst, tokens_ + more);
    refilled_ += more * kRefill;
  }
  if (tokens_ == 0) return false;
  --tokens_;
  told_.emplace(what, now);
  return true;
}

void EventRecorder::record(Kind kind, const ObjectMeta& about, const Note& note) {
  if (!store_.keeps_events() ||
      !allowed(fmt::format("{} {} {} {}", info(kind).name, about.key.to_string(), note.reason,
                           note.message))) {
    return;
  }
  for (const auto& done : over_) writes_.erase(done);
  over_.clear();
  const auto now = loop_.wall_now();
  auto event = event_object(kind, about, source_, note, {now, now, 1}, random_.next());
  const auto at = writes_.emplace(writes_.end());
  *at = store_.create(std::move(event), [this, at](const Result<Object>& r) {
    if (!r) log_debug("event not written", {{"error", r.error().text}});
    over_.push_back(at);
  });
}

}  // namespace cw::api
