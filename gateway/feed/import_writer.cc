#include "gateway/feed/import_writer.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "api/names.h"
#include "gateway/feed/importer.h"

namespace cw::api {
template <>
Result<gateway::ImportedExport> decode(const nlohmann::json& body) {
  return gateway::imported_export(body);
}
}  // namespace cw::api

namespace cw::gateway {

using std::chrono::milliseconds;

namespace {

constexpr std::size_t kSlice = 256;  // exports that one turn of the loop compares

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

ImportWriter::ImportWriter(Loop& loop, api::Store& store, Random& random, const RemoteState& intake,
                           const PeerFacts& facts, api::EventRecorder& events)
    : loop_(loop),
      intake_(intake),
      look_(loop, milliseconds(10), [this] { pass(); }),
      peers_(loop, store, random, intake, facts, events, [this] { look_.poke(); }),
      namespaces_(loop, store, random, [this] { look_.poke(); }),
      imports_(loop, store, random, [this] { imports_changed(); }),
      keeper_(loop, store, random,
              {[this](const auto& id) { return step(id.key); },
               [this](const auto& id) { return imports_.find(id.key); }},
              {.in_flight = kMaxWrites}) {
  imports_.track_changes();
}

// Most changes are our own writes.
void ImportWriter::imports_changed() {
  if (!looked_) return look_.poke();
  for (const auto& key : imports_.take_changes()) look_at(key);
}

void ImportWriter::look_at_all() {
  look_.poke();
  peers_.look();
}

void ImportWriter::look_at(const api::ObjectKey& record) {
  keeper_.look({api::RemoteExport::kKind, record});
}

void ImportWriter::look_at(const std::string& cluster, const api::ObjectKey& service) {
  if (looked_) look_at(import_key(cluster, service));
}

bool ImportWriter::idle() const {
  return looked_ && !sweep_.from && keeper_.idle() && peers_.idle();
}

// Compares all that is stored with all that should be. A remote cluster may export 10,000 Services.
// They are compared in slices, with other work of the loop in between.
void ImportWriter::pass() {
  if (!peers_.paired() || !namespaces_.synced() || !imports_.synced()) return;
  looked_ = true;
  sweep_.again = sweep_.from.has_value();
  if (sweep_.again) return;
  sweep_.from.emplace();
  sweep();
}

void ImportWriter::sweep() {
  if (sweep_some()) {
    sweep_.next_slice = loop_.after(Duration::zero(), [this] { sweep(); });
  } else if (std::exchange(sweep_.again, false)) {
    look_.poke();
  }
}

// Compares one slice. True: more is left.
bool ImportWriter::sweep_some() {
  std::size_t most = kSlice;
  const auto check = [this](const api::ObjectKey& record) {
    if (verb_of(record) != api::Verb::kNone) look_at(record);
  };
  auto [cluster, key] = *sweep_.from;
  if (cluster.empty()) {
    if (auto rest = visit_some(imports_.items(), key, most, check)) {
      sweep_.from->second = std::move(*rest);
      return true;
    }
    key = {};
  }
  const auto& clusters = intake_.clusters();
  for (auto at = clusters.lower_bound(cluster); at != clusters.end(); ++at) {
    if (at->first != cluster) key = {};
    const auto& id = at->first;
    auto rest = visit_some(intake_.exports(id), key, most,
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
  const auto accepted = intake_.clusters().find(name->cluster);
  now.complete = accepted != intake_.clusters().end() && accepted->second.complete;
  const auto& exports = intake_.exports(name->cluster);
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
  auto accepted = intake_.record(name.cluster, name.service);
  CW_CHECK(accepted.has_value());  // verb_of() found its fingerprint
  api::RemoteExport object;
  object.meta.key = record;
  object.meta.labels = {{std::string(api::kSourceClusterLabel), name.cluster},
                        {std::string(api::kImportedServiceLabel), name.service.name}};
  if (have != nullptr) object.meta.resource_version = have->resource_version;
  object.spec = std::move(accepted->record);
  object.kept_out = accepted->kept_out;
  return api::write_step(verb, object);
}

}  // namespace cw::gateway
