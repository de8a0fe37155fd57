#include "discovery/objects.h"

namespace cw::discovery {

Objects::Objects(Loop& loop, api::Store& store, Random& random, const Sources& sources, bool derive,
                 std::function<void()> on_due)
    : loop_(loop),
      sources_(sources),
      derive_(derive),
      on_due_(std::move(on_due)),
      writer_(loop, store, random, sources) {}

void Objects::record(const Changes& changes) {
  writer_.record(changes);
  burst_.add(changes.at(api::Kind::kRemoteExport).size(), loop_.now());
}

bool Objects::set_families(std::set<std::string> families) {
  if (families == families_) return false;
  families_ = std::move(families);
  return true;
}

void Objects::defer_creates() {
  const auto now = loop_.now();
  const bool syncing = burst_.active(now);
  if (!syncing) {
    initial_sync_since_.reset();
  } else if (!initial_sync_since_) {
    initial_sync_since_ = now;
  }
  writer_.defer_creates(syncing && now - *initial_sync_since_ < kLongestWait);
  timer_.reset();
  if (syncing) timer_ = loop_.after(kWindow, on_due_);
}

void Objects::update(Keys changed, const View& view, const api::ExportBook& book) {
  defer_creates();
  Keys exports = book.judged();
  if (!writing_) {
    for (const auto& [key, service] : view.services) changed.insert(key);
    for (const auto& [key, entry] : book.entries()) exports.insert(key);
  }
  exports.insert(changed.begin(), changed.end());  // their conflicts may have changed
  const DesiredInputs inputs{sources_.own_cluster.id(), sources_.namespaces.items(),
                             sources_.services.items(), families_, derive_};
  for (const auto& key : changed) {
    const auto at = view.services.find(key);
    writer_.set_desired(key, at == view.services.end() ? DesiredService{}
                                                       : desired_service(inputs, key, at->second));
  }
  for (const auto& key : exports) {
    const auto object = sources_.exports.find(key);
    const auto entry = book.entries().find(key);
    writer_.set_desired(key, object == nullptr || entry == book.entries().end()
                                 ? std::vector<api::Condition>()
                                 : export_conditions(*object, entry->second, view));
  }
  if (!writing_) writer_.adopt();
  writing_ = true;
}

void Objects::stop() {
  writing_ = false;
  writer_.stop();
}

}  // namespace cw::discovery
