#include "gateway/feed/import_writer.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "api/names.h"

namespace cw::gateway {

using std::chrono::milliseconds;

namespace {

constexpr std::size_t kSlice = 256;  // exports that one turn of the loop compares
// Writes of RemoteExports in flight. Discovery has fewer: names are made from RemoteExports, and
// ServiceImports may come later.
constexpr std::size_t kMaxWrites = 64;

// Calls `visit` for at most `most` keys, beginning with `from`. Returns the first of the others.
template <typename Map, typename Visit>
std::optional<api::ObjectKey> visit_some(const Map& map, const api::ObjectKey& from,
                                         std::size_t& most, const Visit& visit) {
  for (auto at = map.lower_bound(from); at != map.end(); ++at) {
    if (most == 0) return at->first;
    --most;
    visit(at->first);
  }
  return std::nullopt;
}

}  // namespace

ImportWriter::ImportWriter(Loop& loop, api::Store& store, Random& random,
                           const RemoteState& remotes, const PeerFacts& facts,
                           api::EventRecorder& events)
    : loop_(loop),
      remotes_(remotes),
      pass_due_(loop, milliseconds(10), [this] { pass(); }),
      peers_(loop, store, random, remotes, facts, events, [this] { pass_due_.poke(); }),
      namespaces_(loop, store, random, [this] { pass_due_.poke(); }),
      imports_(loop, store, random, [this] { imports_changed(); }),
      keeper_(loop, store, random,
              {[this](const auto& id) { return step(id.key); },
               [this](const auto& id) { return imports_.find(id.key); }},
              {.in_flight = kMaxWrites}) {
  imports_.track_changes();
}

// Most changes are our own writes.
void ImportWriter::imports_changed() {
  if (!began_) return pass_due_.poke();
  for (const auto& key : imports_.take_changes()) reconcile(key);
}

void ImportWriter::reconcile_all() {
  pass_due_.poke();
  peers_.reconcile();
}

void ImportWriter::reconcile(const api::ObjectKey& record) {
  keeper_.look({api::RemoteExport::kKind, record});
}

void ImportWriter::reconcile_exports(const std::string& cluster, const api::ObjectKey* service) {
  if (service == nullptr) return reconcile_all();
  if (began_) reconcile(import_key(cluster, *service));
}

bool ImportWriter::idle() const {
  return began_ && !sweep_.from && keeper_.idle() && peers_.idle();
}

// Compares all that is stored with all that should be. A remote cluster may export 10,000 Services.
// They are compared in slices, with other work of the loop in between.
void ImportWriter::pass() {
  if (!peers_.paired() || !namespaces_.synced() || !imports_.synced()) return;
  began_ = true;
  sweep_.again = sweep_.from.has_value();
  if (sweep_.again) return;
  sweep_.from.emplace();
  sweep();
}

void ImportWriter::sweep() {
  if (sweep_some()) {
    sweep_.next_slice = loop_.after(Duration::zero(), [this] { sweep(); });
  } else if (std::exchange(sweep_.again, false)) {
    pass_due_.poke();
  }
}

// Compares one slice. True: more is left.
bool ImportWriter::sweep_some() {
  std::size_t most = kSlice;
  const auto check = [this](const api::ObjectKey& record) {
    if (verb_of(record) != api::Verb::kNone) reconcile(record);
  };
  auto [cluster, key] = *sweep_.from;
  if (cluster.empty()) {
    if (auto rest = visit_some(imports_.items(), key, most, check)) {
      sweep_.from->second = std::move(*rest);
      return true;
    }
    key = {};
  }
  const auto& clusters = remotes_.clusters();
  for (auto at = clusters.lower_bound(cluster); at != clusters.end(); ++at) {
    if (at->first != cluster) key = {};
    const auto& id = at->first;
    auto rest = visit_some(remotes_.exports(id), key, most,
                           [&](const auto& service) { check(import_key(id, service)); });
    if (!rest) continue;
    sweep_.from = {id, std::move(*rest)};
    return true;
  }
  sweep_.from.reset();
  return false;
}

api::Verb ImportWriter::verb_of(const api::ObjectKey& record) const {
  const auto name = import_name(record);
  if (!name) return api::Verb::kNone;  // no name that we make
  ImportCase now;
  now.paired = peers_.paired()->count(name->cluster) != 0;
  const auto accepted = remotes_.clusters().find(name->cluster);
  now.complete = accepted != remotes_.clusters().end() && accepted->second.complete;
  const auto& exports = remotes_.exports(name->cluster);
  if (const auto found = exports.find(name->service); found != exports.end()) {
    now.wanted = found->second.fingerprint;
  }
  now.ns_exists = namespaces_.find({"", record.ns}) != nullptr;
  if (const auto have = imports_.find(record)) now.stored = *have;
  return import_step(now);
}

api::Step ImportWriter::step(const api::ObjectKey& record) const {
  const auto verb = verb_of(record);
  if (verb == api::Verb::kNone) return {};
  const auto have = imports_.find(record);
  if (verb == api::Verb::kRemove) return {verb, have->resource_version};
  const auto name = *import_name(record);
  auto accepted = remotes_.record(name.cluster, name.service);
  if (!accepted) return {};
  api::RemoteExport object;
  object.meta.key = record;
  object.meta.labels = {{std::string(api::kSourceClusterLabel), name.cluster},
                        {std::string(api::kImportedServiceLabel), name.service.name}};
  if (have != nullptr) object.meta.resource_version = have->resource_version;
  object.spec = std::move(accepted->record);
  object.kept_out = accepted->kept_out;
  return {verb, object.meta.resource_version, with_fingerprint(object, accepted->fingerprint), {}};
}

}  // namespace cw::gateway
