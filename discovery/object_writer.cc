#include "discovery/object_writer.h"

#include <utility>

namespace cw::discovery {

using api::Kind;
using api::ObjectId;
using api::ObjectKey;
using api::Step;
using api::Verb;
using api::write_step;

namespace {

// A refused write is retried after at most 10 s: the names of its service wait for it.
constexpr api::KeeperLimits kLimits{ObjectWriter::kInFlight, std::chrono::milliseconds(300),
                                    std::chrono::seconds(10)};

// Sets the conditions `desired` in `have`. Transition times change only with the status.
bool merge_conditions(std::vector<api::Condition>& have, const std::vector<api::Condition>& desired,
                      WallTime now) {
  bool changed = false;
  for (const auto& condition : desired)
    changed = api::set_condition(have, condition, now) || changed;
  return changed;
}

// Makes the cached object `have` as `all` has it. `change` sets in a copy of it what is desired.
template <typename T, typename Change>
Step owned_step(const std::shared_ptr<const T>& have, const std::map<ObjectKey, T>& all,
                const ObjectKey& key, const Change& change) {
  const auto desired = all.find(key);
  if (have == nullptr) {
    return desired == all.end() ? Step() : write_step(Verb::kCreate, desired->second);
  }
  if (desired == all.end()) return {Verb::kRemove, have->meta.resource_version};
  auto next = *have;
  change(next, desired->second);
  return next == *have ? Step() : write_step(Verb::kUpdate, next);
}

}  // namespace

ObjectWriter::ObjectWriter(Loop& loop, api::Store& store, Random& random, const Sources& sources)
    : loop_(loop),
      sources_(sources),
      keeper_(loop, store, random,
              {[this](const auto& id) { return step(id); },
               [this](const auto& id) { return cached(id); }},
              kLimits) {}

void ObjectWriter::set_desired(const ObjectKey& service, DesiredService desired) {
  std::set<ObjectId> now;
  auto& parts = parts_[service];
  for (const auto& [kind, key] : parts) {
    if (kind == Kind::kServiceImport) imports_.erase(key);
    if (kind == Kind::kService) services_.erase(key);
    if (kind == Kind::kEndpointSlice) slices_.erase(key);
  }
  if (desired.import) {
    now.insert({Kind::kServiceImport, service});
    imports_.insert_or_assign(service, std::move(*desired.import));
  }
  if (desired.service) {
    const auto key = desired.service->meta.key;
    now.insert({Kind::kService, key});
    services_.insert_or_assign(key, std::move(*desired.service));
  }
  for (auto& [key, slice] : desired.slices) {
    now.insert({Kind::kEndpointSlice, key});
    slices_.insert_or_assign(key, std::move(slice));
  }
  for (const auto& id : parts) keeper_.retry(id);
  for (const auto& id : now) keeper_.retry(id);
  if (now.empty()) {
    parts_.erase(service);
  } else {
    parts = std::move(now);
  }
}

void ObjectWriter::set_desired(const ObjectKey& service, std::vector<api::Condition> conditions) {
  if (conditions.empty()) {
    conditions_.erase(service);
    return;
  }
  conditions_.insert_or_assign(service, std::move(conditions));
  keeper_.retry({Kind::kServiceExport, service});
}

void ObjectWriter::record(const Changes& changes) {
  for (const auto kind :
       {Kind::kServiceExport, Kind::kService, Kind::kEndpointSlice, Kind::kServiceImport}) {
    for (const auto& key : changes.at(kind)) keeper_.look({kind, key});
  }
}

void ObjectWriter::adopt() {
  for (const auto& [key, object] : sources_.imports.items()) {
    keeper_.look({Kind::kServiceImport, key});
  }
  for (const auto& [key, object] : sources_.services.items()) {
    if (ours(object->meta)) keeper_.look({Kind::kService, key});
  }
  for (const auto& [key, object] : sources_.slices.items()) {
    if (ours(object->meta)) keeper_.look({Kind::kEndpointSlice, key});
  }
}

void ObjectWriter::defer_creates(bool others) {
  defers_creates_ = others;
  if (others) return;
  for (const auto& id : std::exchange(deferred_, {})) keeper_.look(id);
}

void ObjectWriter::stop() {
  imports_.clear();
  services_.clear();
  slices_.clear();
  conditions_.clear();
  parts_.clear();
  deferred_.clear();
  keeper_.stop();
}

std::shared_ptr<const void> ObjectWriter::cached(const ObjectId& id) const {
  switch (id.kind) {
    case Kind::kService:
      return sources_.services.find(id.key);
    case Kind::kEndpointSlice:
      return sources_.slices.find(id.key);
    case Kind::kServiceImport:
      return sources_.imports.find(id.key);
    default:
      return sources_.exports.find(id.key);
  }
}

Step ObjectWriter::step(const ObjectId& id) {
  auto step = step_of(id);
  if (step.verb != Verb::kCreate || !defers_creates_) return step;
  deferred_.insert(id);
  return {};
}

Step ObjectWriter::step_of(const ObjectId& id) const {
  switch (id.kind) {
    case Kind::kService:
      return service_step(id.key);
    case Kind::kEndpointSlice:
      return slice_step(id.key);
    case Kind::kServiceImport:
      return import_step(id.key);
    default:
      return export_step(id.key);
  }
}

Step ObjectWriter::service_step(const ObjectKey& key) const {
  const auto have = sources_.services.find(key);
  // A foreign Service has this name. The import's condition stays Pending.
  if (have != nullptr && !ours(have->meta)) return {};
  return owned_step(have, services_, key, [](api::Service& next, const api::Service& desired) {
    next = overlaid(next, desired);
  });
}

Step ObjectWriter::slice_step(const ObjectKey& key) const {
  const auto have = sources_.slices.find(key);
  if (have != nullptr && !ours(have->meta)) return {};
  return owned_step(have, slices_, key,
                    [](api::EndpointSlice& next, const api::EndpointSlice& desired) {
                      for (const auto& [name, value] : desired.meta.labels) {
                        next.meta.labels[name] = value;
                      }
                      next.endpoints = desired.endpoints;
                      next.ports = desired.ports;
                    });
}

// ServiceImports belong to the controller alone (KEP-1645). One without an export is removed.
Step ObjectWriter::import_step(const ObjectKey& key) const {
  const auto have = sources_.imports.find(key);
  auto owned = owned_step(have, imports_, key,
                          [](api::ServiceImport& next, const api::ServiceImport& desired) {
                            next.spec = desired.spec;
                            next.meta.labels = desired.meta.labels;
                            next.meta.annotations = desired.meta.annotations;
                          });
  const auto desired = imports_.find(key);
  if (have == nullptr || desired == imports_.end() || owned.verb != Verb::kNone) return owned;
  auto next = *have;
  next.status.clusters = desired->second.status.clusters;
  next.status.endpoint_slice_objects = desired->second.status.endpoint_slice_objects;
  auto conditions = desired->second.status.conditions;
  for (auto& condition : conditions) condition.observed_generation = have->meta.generation;
  (void)merge_conditions(next.status.conditions, conditions, loop_.wall_now());
  return next == *have ? Step() : write_step(Verb::kStatus, next);
}

Step ObjectWriter::export_step(const ObjectKey& key) const {
  const auto have = sources_.exports.find(key);
  const auto desired = conditions_.find(key);
  if (have == nullptr || desired == conditions_.end()) return {};
  auto next = *have;
  if (!merge_conditions(next.status.conditions, desired->second, loop_.wall_now())) return {};
  return write_step(Verb::kStatus, next);
}

}  // namespace cw::discovery
