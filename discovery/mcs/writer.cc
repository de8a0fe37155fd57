#include "discovery/mcs/writer.h"

#include <algorithm>
#include <utility>

namespace cw::discovery {

using api::Kind;
using api::ObjectKey;

namespace {

// Sets the conditions `wanted` in `have`. Transition times change only with the status.
bool merge_conditions(std::vector<api::Condition>& have, const std::vector<api::Condition>& wanted,
                      WallTime now) {
  bool changed = false;
  for (const auto& condition : wanted)
    changed = api::set_condition(have, condition, now) || changed;
  return changed;
}

}  // namespace

void ObjectWriter::want(const ObjectKey& service, DesiredService desired) {
  std::set<Id> now;
  auto& parts = parts_[service];
  for (const auto& [kind, key] : parts) {
    if (kind == Kind::kServiceImport) imports_.erase(key);
    if (kind == Kind::kService) services_.erase(key);
    if (kind == Kind::kEndpointSlice) slices_.erase(key);
  }
  if (desired.import) {
    now.emplace(Kind::kServiceImport, service);
    imports_.insert_or_assign(service, std::move(*desired.import));
  }
  if (desired.service) {
    const auto key = desired.service->meta.key;
    now.emplace(Kind::kService, key);
    services_.insert_or_assign(key, std::move(*desired.service));
  }
  for (auto& [key, slice] : desired.slices) {
    now.emplace(Kind::kEndpointSlice, key);
    slices_.insert_or_assign(key, std::move(slice));
  }
  todo_.insert(parts.begin(), parts.end());
  todo_.insert(now.begin(), now.end());
  if (now.empty()) {
    parts_.erase(service);
  } else {
    parts = std::move(now);
  }
}

void ObjectWriter::want(const ObjectKey& service, std::vector<api::Condition> conditions) {
  if (conditions.empty()) {
    conditions_.erase(service);
    return;
  }
  conditions_.insert_or_assign(service, std::move(conditions));
  todo_.emplace(Kind::kServiceExport, service);
}

void ObjectWriter::look(Kind kind, const ObjectKey& key) {
  const Id id{kind, key};
  if (const auto lag = lagging_.find(id); lag != lagging_.end()) {
    if (cached(id) == lag->second.seen) return;
    lagging_.erase(lag);
    again_.erase(id);
  }
  todo_.insert(id);
}

void ObjectWriter::adopt() {
  for (const auto& [key, object] : caches_.imports.items())
    todo_.emplace(Kind::kServiceImport, key);
  for (const auto& [key, object] : caches_.services.items()) {
    if (ours(object->meta)) todo_.emplace(Kind::kService, key);
  }
  for (const auto& [key, object] : caches_.slices.items()) {
    if (ours(object->meta)) todo_.emplace(Kind::kEndpointSlice, key);
  }
}

void ObjectWriter::stop() {
  imports_.clear();
  services_.clear();
  slices_.clear();
  conditions_.clear();
  parts_.clear();
  todo_.clear();
  again_.clear();
  later_.clear();
  failed_.clear();
  in_flight_.clear();
  lagging_.clear();
  retry_.reset();
}

std::shared_ptr<const void> ObjectWriter::cached(const Id& id) const {
  switch (id.first) {
    case Kind::kService:
      return caches_.services.find(id.second);
    case Kind::kEndpointSlice:
      return caches_.slices.find(id.second);
    case Kind::kServiceImport:
      return caches_.imports.find(id.second);
    default:
      return caches_.exports.find(id.second);
  }
}

ObjectWriter::Step ObjectWriter::step_of(const Id& id) const {
  switch (id.first) {
    case Kind::kService:
      return service_step(id.second);
    case Kind::kEndpointSlice:
      return slice_step(id.second);
    case Kind::kServiceImport:
      return import_step(id.second);
    default:
      return export_step(id.second);
  }
}

ObjectWriter::Step ObjectWriter::service_step(const ObjectKey& key) const {
  const auto have = caches_.services.find(key);
  const auto wanted = services_.find(key);
  if (have == nullptr) {
    if (wanted == services_.end()) return {};
    return {Step::What::kCreate, "", api::encode(wanted->second)};
  }
  // A foreign Service has this name. The import's condition stays Pending.
  if (!ours(have->meta)) return {};
  if (wanted == services_.end()) {
    return {Step::What::kRemove, have->meta.resource_version, {}};
  }
  if (satisfies(*have, wanted->second)) return {};
  return {Step::What::kUpdate, have->meta.resource_version,
          api::encode(overlaid(*have, wanted->second))};
}

ObjectWriter::Step ObjectWriter::slice_step(const ObjectKey& key) const {
  const auto have = caches_.slices.find(key);
  const auto wanted = slices_.find(key);
  if (have == nullptr) {
    if (wanted == slices_.end()) return {};
    return {Step::What::kCreate, "", api::encode(wanted->second)};
  }
  if (!ours(have->meta)) return {};
  if (wanted == slices_.end()) {
    return {Step::What::kRemove, have->meta.resource_version, {}};
  }
  auto next = *have;
  for (const auto& [name, value] : wanted->second.meta.labels) next.meta.labels[name] = value;
  next.endpoints = wanted->second.endpoints;
  next.ports = wanted->second.ports;
  if (next == *have) return {};
  return {Step::What::kUpdate, have->meta.resource_version, api::encode(next)};
}

ObjectWriter::Step ObjectWriter::import_step(const ObjectKey& key) const {
  const auto have = caches_.imports.find(key);
  const auto wanted = imports_.find(key);
  if (have == nullptr) {
    if (wanted == imports_.end()) return {};
    return {Step::What::kCreate, "", api::encode(wanted->second)};
  }
  // ServiceImports belong to the controller alone (KEP-1645). One without an export is removed.
  if (wanted == imports_.end()) {
    return {Step::What::kRemove, have->meta.resource_version, {}};
  }
  auto next = *have;
  next.spec = wanted->second.spec;
  next.meta.labels = wanted->second.meta.labels;
  next.meta.annotations = wanted->second.meta.annotations;
  if (!(next == *have)) {
    return {Step::What::kUpdate, have->meta.resource_version, api::encode(next)};
  }
  next.status.clusters = wanted->second.status.clusters;
  next.status.endpoint_slice_objects = wanted->second.status.endpoint_slice_objects;
  auto conditions = wanted->second.status.conditions;
  for (auto& condition : conditions) condition.observed_generation = have->meta.generation;
  (void)merge_conditions(next.status.conditions, conditions, loop_.wall_now());
  if (next == *have) return {};
  return {Step::What::kStatus, have->meta.resource_version, api::encode(next)};
}

ObjectWriter::Step ObjectWriter::export_step(const ObjectKey& key) const {
  const auto have = caches_.exports.find(key);
  const auto wanted = conditions_.find(key);
  if (have == nullptr || wanted == conditions_.end()) return {};
  auto next = *have;
  if (!merge_conditions(next.status.conditions, wanted->second, loop_.wall_now())) return {};
  return {Step::What::kStatus, have->meta.resource_version, api::encode(next)};
}

void ObjectWriter::pump() {
  while (in_flight_.size() < kInFlight && !todo_.empty()) {
    const auto id = todo_.extract(todo_.begin()).value();
    if (in_flight_.count(id) != 0 || lagging_.count(id) != 0) {
      again_.insert(id);
      continue;
    }
    auto step = step_of(id);
    if (gives_way_ && step.what == Step::What::kCreate) {
      later_.insert(id);
    } else if (step.what != Step::What::kNone) {
      start(id, std::move(step));
    }
  }
}

void ObjectWriter::defer_creates(bool others) {
  gives_way_ = others;
  if (!others) todo_.merge(std::exchange(later_, {}));
}

void ObjectWriter::start(const Id& id, Step step) {
  ++writes_;
  const auto [kind, key] = id;
  const auto seen = cached(id);
  if (step.what == Step::What::kRemove) {
    in_flight_[id] = store_.remove(
        kind, key, step.version, [this, id, v = step.version, seen](const Result<>& r) {
          finish(id, v, seen, r ? Result<std::string>("") : fail(r.error()));
        });
    return;
  }
  auto done = [this, id, v = step.version, seen](const Result<api::Object>& r) {
    finish(id, v, seen, r ? Result<std::string>(r->resource_version) : fail(r.error()));
  };
  api::Object object{kind, key, step.version, std::move(step.body)};
  switch (step.what) {
    case Step::What::kCreate:
      in_flight_[id] = store_.create(std::move(object), std::move(done));
      break;
    case Step::What::kUpdate:
      in_flight_[id] = store_.update(std::move(object), std::move(done));
      break;
    default:
      in_flight_[id] = store_.update_status(std::move(object), std::move(done));
  }
}

void ObjectWriter::finish(const Id& id, const std::string& based_on,
                          const std::shared_ptr<const void>& seen,
                          const Result<std::string>& version) {
  // The handle owns this callback and its arguments, so it is destroyed in the next turn.
  if (const auto at = in_flight_.find(id); at != in_flight_.end()) {
    done_.push_back(std::move(at->second));
    in_flight_.erase(at);
  }
  if (!sweep_.active()) {
    sweep_ = loop_.after(std::chrono::milliseconds(1), [this] {
      sweep_.reset();
      done_.clear();
      pump();
    });
  }
  const bool waits = again_.erase(id) != 0;
  if (version) {
    failed_.erase(id);
    if (cached(id) != seen || (waits && *version == based_on)) {
      todo_.insert(id);  // the event arrived before the answer
    } else if (*version != based_on) {
      lagging_[id] = {seen, loop_.now()};
      if (waits) again_.insert(id);
      if (!lag_timer_.active()) lag_timer_ = loop_.after(kMaxLag, [this] { end_lags(); });
    }
    return;
  }
  failed(id, version.error());
}

void ObjectWriter::failed(const Id& id, const Error& error) {
  auto& failure = failed_[id];
  const bool raced =
      error.code == Errc::kConflict || error.code == Errc::kNotFound || error.code == Errc::kExists;
  if (!raced && failure.error != error.text) {
    log_warn("write failed", {{"kind", api::info(id.first).name},
                              {"name", id.second.to_string()},
                              {"error", error.text}});
  }
  failure.error = error.text;
  failure.due = loop_.now() + failure.pause;
  failure.waits = true;
  failure.pause = std::min(failure.pause * 2, kMostRetry);
  if (!retry_.active()) retry_ = loop_.after(kFirstRetry, [this] { retry(); });
}

void ObjectWriter::retry() {
  retry_.reset();
  bool more = false;
  for (auto& [id, failure] : failed_) {
    if (!failure.waits) continue;
    if (failure.due > loop_.now()) {
      more = true;
      continue;
    }
    failure.waits = false;
    todo_.insert(id);
  }
  if (more) retry_ = loop_.after(kFirstRetry, [this] { retry(); });
  pump();
}

// Compares objects whose event did not arrive within kMaxLag.
void ObjectWriter::end_lags() {
  lag_timer_.reset();
  for (auto lag = lagging_.begin(); lag != lagging_.end();) {
    if (loop_.now() - lag->second.since >= kMaxLag) {
      again_.erase(lag->first);
      todo_.insert(lag->first);
      lag = lagging_.erase(lag);
    } else {
      ++lag;
    }
  }
  if (!lagging_.empty()) lag_timer_ = loop_.after(kMaxLag / 2, [this] { end_lags(); });
  pump();
}

}  // namespace cw::discovery
