#include "gateway/feed/import_writer.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "api/names.h"
#include "base/log.h"
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
}

ImportWriter::ImportWriter(Loop& loop, api::Store& store, Random& random, const RemoteState& intake,
                           const Presence& presence, api::EventRecorder& events)
    : loop_(loop),
      store_(store),
      random_(random),
      intake_(intake),
      presence_(presence),
      look_(loop, milliseconds(10), [this] { pass(); }),
      look_at_some_(loop, milliseconds(1), [this] { pump(); }),
      look_at_peers_(loop, milliseconds(10), [this] { write_peers(); }),
      look_at_refusals_(loop, milliseconds(1000), [this] { write_peers(); }),
      peers_(loop, store, random,
             [this] {
               peers_changed();
               events_.look(true);
             }),
      namespaces_(loop, store, random, [this] { look_.poke(); }),
      imports_(loop, store, random, [this] { imports_changed(); }),
      events_(loop, events, peers_),
      bad_peers_(loop, store, events, api::Kind::kClusterPeer, "Accepted") {
  if (loop.now() < presence.settled) {
    settled_ = loop.after(presence.settled - loop.now(), [this] { look_.poke(); });
  }
  imports_.track_changes();
  peers_.set_on_bad([this](const auto& key, const Error& error) { bad_peers_.report(key, error); });
}

void ImportWriter::peers_changed() {
  std::set<std::string> ids;
  for (const auto& [key, peer] : peers_.items()) {
    if (!peer->spec.unpaired) ids.insert(peer->spec.cluster_id);
  }
  (looked_ && ids == paired_ ? look_at_peers_ : look_).poke();
}

// Mostly it shows what we wrote ourselves.
void ImportWriter::imports_changed() {
  if (!looked_) return look_.poke();
  todo_.merge(imports_.take_changes());
  look_at_some_.poke();
}

std::optional<bool> Presence::of(const std::string& cluster, TimePoint now) const {
  if (connected.count(cluster) != 0) return true;
  if (lost.count(cluster) == 0 && now < settled) return std::nullopt;
  return false;
}

void ImportWriter::look_at(const std::string& cluster, const api::ObjectKey& service) {
  todo_.insert(import_key(cluster, service));
  look_at_some_.poke();
}

bool ImportWriter::idle() const {
  return looked_ && !stored_from_ && !said_from_ && todo_.empty() && writes_.empty() &&
         peer_writes_.empty() && !retry_.active();
}

std::shared_ptr<const ImportedExport> ImportWriter::stored(const api::ObjectKey& key) {
  auto shown = imports_.find(key);
  const auto ours = written_.find(key);
  if (ours == written_.end()) return shown;
  if (ours->second.seen == shown) return ours->second.now;
  written_.erase(ours);
  return shown;
}

ImportStep ImportWriter::step_of(const api::ObjectKey& key) {
  const auto name = import_name(key);
  if (!name) return ImportStep::kNone;  // not of our making
  ImportCase now;
  now.paired = paired_.count(name->cluster) != 0;
  const auto accepted = intake_.clusters().find(name->cluster);
  now.complete = accepted != intake_.clusters().end() && accepted->second.complete;
  const auto& exports = intake_.exports(name->cluster);
  if (const auto found = exports.find(name->service); found != exports.end()) {
    now.wanted = found->second.fingerprint;
  }
  now.ns_exists = namespaces_.find({"", key.ns}) != nullptr;
  if (const auto have = stored(key)) now.stored = *have;
  return import_step(now);
}

// Everything: what is stored, what should be, the ClusterPeers. A peer may export 10,000 Services:
// they are compared in slices, other work of the loop comes in between.
void ImportWriter::pass() {
  if (!ready()) return;
  paired_.clear();
  for (const auto& [key, peer] : peers_.items()) {
    if (!peer->spec.unpaired) paired_.insert(peer->spec.cluster_id);
  }
  write_peers();
  sweeps_again_ = stored_from_ || said_from_;
  if (sweeps_again_) return;
  stored_from_ = api::ObjectKey{};
  said_from_ = std::pair<std::string, api::ObjectKey>{};
  sweep();
}

void ImportWriter::sweep() {
  std::size_t most = kSlice;
  if (sweep_stored(most) && sweep_said(most)) {
    looked_ = true;
    if (std::exchange(sweeps_again_, false)) look_.poke();
  } else {
    next_slice_ = loop_.after(Duration::zero(), [this] { sweep(); });
  }
  pump();
}

// True: all of it was compared. So it is with sweep_said().
bool ImportWriter::sweep_stored(std::size_t& most) {
  if (!stored_from_) return true;
  for (auto at = imports_.items().lower_bound(*stored_from_); at != imports_.items().end(); ++at) {
    if (most == 0) {
      stored_from_ = at->first;
      return false;
    }
    --most;
    if (step_of(at->first) != ImportStep::kNone) todo_.insert(at->first);
  }
  stored_from_.reset();
  return true;
}

bool ImportWriter::sweep_said(std::size_t& most) {
  if (!said_from_) return true;
  const auto& clusters = intake_.clusters();
  auto service = said_from_->second;
  for (auto at = clusters.lower_bound(said_from_->first); at != clusters.end(); ++at) {
    const auto& exports = intake_.exports(at->first);
    if (at->first != said_from_->first) service = {};
    for (auto said = exports.lower_bound(service); said != exports.end(); ++said) {
      if (most == 0) {
        said_from_ = {at->first, said->first};
        return false;
      }
      --most;
      auto key = import_key(at->first, said->first);
      if (step_of(key) != ImportStep::kNone) todo_.insert(std::move(key));
    }
  }
  said_from_.reset();
  return true;
}

void ImportWriter::pump() {
  if (!looked_) return;
  for (std::size_t n = 0; writes_.size() < kMaxWrites && !todo_.empty(); ++n) {
    if (n == kSlice) return look_at_some_.poke();
    const auto key = todo_.extract(todo_.begin()).value();
    if (writes_.count(key) != 0) continue;  // is looked at again when that write is done
    if (const auto step = step_of(key); step != ImportStep::kNone) start(key, step);
  }
}

void ImportWriter::start(const api::ObjectKey& key, ImportStep step) {
  switch (step) {
    case ImportStep::kNone:
      return;
    case ImportStep::kCreate:
    case ImportStep::kUpdate:
      return put(key, step == ImportStep::kCreate);
    case ImportStep::kRemove:
      return remove(key);
  }
}

void ImportWriter::put(const api::ObjectKey& key, bool create) {
  const auto name = *import_name(key);
  auto record = intake_.record(name.cluster, name.service);
  CW_CHECK(record.has_value());  // step_of() found its fingerprint
  const auto have = stored(key);
  api::RemoteExport object;
  object.meta.key = key;
  object.meta.labels = {{std::string(api::kSourceClusterLabel), name.cluster},
                        {std::string(api::kImportedServiceLabel), name.service.name}};
  if (!create) object.meta.resource_version = have->resource_version;
  object.spec = std::move(record->record);
  object.kept_out = record->kept_out;
  api::Object body{api::RemoteExport::kKind, key, object.meta.resource_version,
                   api::encode(object)};
  // Whatever a store keeps of it (an older schema prunes what it does not know), it was written:
  // it would be written again for ever.
  const auto asked = intake_.exports(name.cluster).at(name.service).fingerprint;
  auto done = [this, key, asked](Result<api::Object> result) {
    finished(key, std::move(result), asked);
  };
  writes_[key] = create ? store_.create(std::move(body), std::move(done))
                        : store_.update(std::move(body), std::move(done));
}

void ImportWriter::remove(const api::ObjectKey& key) {
  const auto have = stored(key);
  writes_[key] = store_.remove(
      api::RemoteExport::kKind, key, have->resource_version, [this, key](Result<> result) {
        if (!result) return finished(key, fail(result.error()));
        // `key` goes with its handle.
        const api::ObjectKey name = key;  // NOLINT(performance-unnecessary-copy-initialization)
        writes_.erase(name);
        note(name, nullptr);
        pump();
      });
}

void ImportWriter::note(const api::ObjectKey& key, std::shared_ptr<const ImportedExport> now) {
  auto shown = imports_.find(key);
  if (shown != nullptr && now != nullptr && *shown == *now) {
    written_.erase(key);  // the event was faster than the answer
  } else {
    written_[key] = {std::move(shown), std::move(now)};
  }
  todo_.insert(key);  // it may have changed meanwhile
}

void ImportWriter::finished(const api::ObjectKey& key, Result<api::Object> result,
                            std::optional<std::uint64_t> asked) {
  // NOLINTNEXTLINE(performance-unnecessary-copy-initialization): `key` goes with its handle
  const api::ObjectKey name = key;
  writes_.erase(name);
  if (result) {
    backoff_.reset();
    last_error_.clear();
    auto now = std::make_shared<ImportedExport>(imported_export(result->body));
    now->resource_version = result->resource_version;
    if (asked) now->fingerprint = *asked;
    note(name, std::move(now));
    return pump();
  }
  switch (result.error().code) {
    case Errc::kConflict:
    case Errc::kExists:
    case Errc::kNotFound:
      return read_again(name);
    default:
      todo_.insert(name);
      return failed(result.error().context("RemoteExport " + name.to_string()));
  }
}

void ImportWriter::read_again(const api::ObjectKey& key) {
  writes_[key] = store_.get(api::RemoteExport::kKind, key, [this, key](Result<api::Object> read) {
    // NOLINTNEXTLINE(performance-unnecessary-copy-initialization): `key` goes with its handle
    const api::ObjectKey name = key;
    writes_.erase(name);
    if (read) {
      auto now = std::make_shared<ImportedExport>(imported_export(read->body));
      now->resource_version = read->resource_version;
      note(name, std::move(now));
    } else if (read.error().code == Errc::kNotFound) {
      note(name, nullptr);
    } else {
      todo_.insert(name);
      return failed(read.error());
    }
    // Not at once: whoever wrote between our reads gets out of the way.
    look_at_some_.poke();
  });
}

void ImportWriter::failed(const Error& error) {
  if (last_error_ != error.text) log_warn("import failed", {{"error", error.text}});
  last_error_ = error.text;
  if (retry_.active()) return;
  retry_ = loop_.after(backoff_.next(random_), [this] {
    retry_.reset();
    look_.poke();
  });
}

}  // namespace cw::gateway
