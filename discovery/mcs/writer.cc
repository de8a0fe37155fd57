#include "discovery/mcs/writer.h"

namespace cw::discovery {

using api::Kind;
using api::ObjectKey;

namespace {

// `wanted` over `have`, keeping transition times where the status did not change.
bool merge_conditions(std::vector<api::Condition>& have, const std::vector<api::Condition>& wanted,
                      WallTime now) {
  bool changed = false;
  for (const auto& condition : wanted)
    changed = api::set_condition(have, condition, now) || changed;
  return changed;
}

}  // namespace

void ImportWriter::want(std::map<ObjectKey, api::ServiceImport> imports,
                        std::map<ObjectKey, std::vector<api::Condition>> conditions) {
  wanted_imports_ = std::move(imports);
  wanted_conditions_ = std::move(conditions);
  pass();
}

void ImportWriter::pass() {
  if (!imports_.synced() || !exports_.synced()) return;
  for (const auto& [key, wanted] : wanted_imports_) {
    if (in_flight_.size() >= kInFlight) return;
    (void)fix_import(key, wanted);
  }
  // ServiceImports are the controller's alone (KEP-1645): what nobody exports goes.
  for (const auto& [key, object] : imports_.items()) {
    if (in_flight_.size() >= kInFlight) return;
    if (wanted_imports_.count(key) != 0 || in_flight_.count({Kind::kServiceImport, key}) != 0)
      continue;
    in_flight_[{Kind::kServiceImport, key}] = store_.remove(
        Kind::kServiceImport, key, object->meta.resource_version,
        [this, k = key](Result<> r) { finish(Kind::kServiceImport, k, r ? nullptr : &r.error()); });
  }
  for (const auto& [key, conditions] : wanted_conditions_) {
    if (in_flight_.size() >= kInFlight) return;
    if (const auto object = exports_.find(key); object != nullptr) fix_export(*object, conditions);
  }
}

void ImportWriter::write(Kind kind, const ObjectKey& key,
                         const std::function<Handle(api::Store::WriteDone)>& start) {
  in_flight_[{kind, key}] = start([this, kind, k = key](const Result<api::Object>& r) {
    finish(kind, k, r ? nullptr : &r.error());
  });
}

bool ImportWriter::fix_import(const ObjectKey& key, const api::ServiceImport& wanted) {
  if (in_flight_.count({Kind::kServiceImport, key}) != 0) return false;
  const auto have = imports_.find(key);
  if (have == nullptr) {
    write(Kind::kServiceImport, key, [&](api::Store::WriteDone done) {
      return store_.create({Kind::kServiceImport, key, "", api::encode(wanted)}, std::move(done));
    });
    return true;
  }
  auto next = *have;
  next.spec = wanted.spec;
  next.spec.ips = have->spec.ips;  // allocated for the life of the import
  next.meta.labels = wanted.meta.labels;
  next.meta.annotations = wanted.meta.annotations;
  if (!(next == *have)) {
    write(Kind::kServiceImport, key, [&](api::Store::WriteDone done) {
      return store_.update(
          {Kind::kServiceImport, key, have->meta.resource_version, api::encode(next)},
          std::move(done));
    });
    return true;
  }
  next.status.clusters = wanted.status.clusters;
  next.status.endpoint_slice_objects = wanted.status.endpoint_slice_objects;
  auto conditions = wanted.status.conditions;
  for (auto& condition : conditions) condition.observed_generation = have->meta.generation;
  (void)merge_conditions(next.status.conditions, conditions, loop_.wall_now());
  if (next == *have) return false;
  write(Kind::kServiceImport, key, [&](api::Store::WriteDone done) {
    return store_.update_status(
        {Kind::kServiceImport, key, have->meta.resource_version, api::encode(next)},
        std::move(done));
  });
  return true;
}

void ImportWriter::fix_export(const api::ServiceExport& object,
                              const std::vector<api::Condition>& wanted) {
  if (in_flight_.count({Kind::kServiceExport, object.meta.key}) != 0) return;
  auto next = object;
  if (!merge_conditions(next.status.conditions, wanted, loop_.wall_now())) return;
  write(Kind::kServiceExport, object.meta.key, [&](api::Store::WriteDone done) {
    return store_.update_status(
        {Kind::kServiceExport, object.meta.key, object.meta.resource_version, api::encode(next)},
        std::move(done));
  });
}

void ImportWriter::finish(Kind kind, const ObjectKey& key, const Error* error) {
  if (error != nullptr && error->code != Errc::kConflict && error->code != Errc::kNotFound &&
      error->code != Errc::kExists) {
    log_warn("write failed",
             {{"kind", api::info(kind).name}, {"name", key.to_string()}, {"error", error->text}});
  }
  // The handle is this callback's own: it goes in the next turn, and so does the next look. After a
  // success the cache may lag behind by a turn; a stale look ends in a conflict and is repeated.
  const auto pause =
      error == nullptr ? std::chrono::milliseconds(2) : std::chrono::milliseconds(300);
  auto& timer = error == nullptr ? next_ : retry_;
  auto done = std::make_shared<Handle>(loop_.after(std::chrono::milliseconds(1), [this, kind, key] {
    in_flight_.erase({kind, key});
  }));
  if (!timer.active()) {
    timer = loop_.after(pause, [this, &timer] {
      timer.reset();
      pass();
    });
  }
  in_flight_[{kind, key}] = Handle([done]() mutable { done.reset(); });
}

}  // namespace cw::discovery
