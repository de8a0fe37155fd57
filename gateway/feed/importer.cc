#include "gateway/feed/importer.h"

#include <set>
#include <utility>

#include "api/store/lease_elector.h"
#include "base/log.h"
#include "gateway/feed/import_writer.h"

namespace cw::gateway {

struct Importer::State {
  State(Loop& l, api::Store& s, Random& r, ImporterConfig c, RemoteState& i,
        std::function<void()> callback, std::function<void()> words)
      : loop(l),
        store(s),
        random(r),
        config(std::move(c)),
        intake(i),
        on_clusters(std::move(callback)),
        on_refusals(std::move(words)),
        events(l, s, r, api::kGatewayWriter, config.identity),
        elector(l, s, r, lease(), [this](bool leads) { lead(leads); }) {
    facts.settled = loop.now() + config.settle;
    resync = loop.every(config.resync, [this] {
      if (writer != nullptr) writer->look_at_all();
    });
  }

  [[nodiscard]] api::LeaseConfig lease() const {
    api::LeaseConfig wanted;
    wanted.key = {config.ns, std::string(kImportLease)};
    wanted.identity = config.identity;
    return wanted;
  }

  void lead(bool leads) {
    log_info(leads ? "imports are ours" : "imports are another gateway's",
             {{"lease", lease().key.to_string()}});
    writer = leads ? std::make_unique<ImportWriter>(loop, store, random, intake, facts, events)
                   : nullptr;
  }

  Loop& loop;
  api::Store& store;
  Random& random;
  ImporterConfig config;
  RemoteState& intake;
  std::function<void()> on_clusters;
  std::function<void()> on_refusals;
  api::EventRecorder events;
  PeerFacts facts;
  std::unique_ptr<ImportWriter> writer;  // while leading
  Handle resync;
  api::LeaseElector elector;
};

Importer::Importer(Loop& loop, api::Store& store, Random& random, ImporterConfig config,
                   RemoteState& intake, std::function<void()> on_clusters,
                   std::function<void()> on_refusals)
    : state_(std::make_unique<State>(loop, store, random, std::move(config), intake,
                                     std::move(on_clusters), std::move(on_refusals))) {
  auto* s = state_.get();
  RemoteState::Listener listener;
  // Changes of their exports are reported by on_export.
  listener.on_clusters = [s] {
    if (s->writer != nullptr) s->writer->look_at_peers();
    if (s->on_clusters) s->on_clusters();
  };
  listener.on_refusals = [s] {
    if (s->writer != nullptr) s->writer->look_at_refusals();
    if (s->on_refusals) s->on_refusals();
  };
  listener.on_export = [s](const std::string& cluster, const api::ObjectKey* service) {
    if (s->writer == nullptr) return;
    if (service == nullptr) {
      s->writer->look_at_all();
    } else {
      s->writer->look_at(cluster, *service);
    }
  };
  intake.set_listener(std::move(listener));
}

Importer::~Importer() { state_->intake.set_listener({}); }

void Importer::set_connected(std::vector<std::string> clusters) {
  auto& facts = state_->facts;
  std::set<std::string> now(std::make_move_iterator(clusters.begin()),
                            std::make_move_iterator(clusters.end()));
  if (now == facts.connected) return;
  facts.lost.merge(facts.connected);
  facts.connected = std::move(now);
  if (state_->writer != nullptr) state_->writer->look_at_peers();
}

void Importer::set_troubles(const std::map<api::ObjectKey, Trouble>& refused,
                            const std::map<api::ObjectKey, Trouble>& left_out) {
  auto& facts = state_->facts;
  if (refused == facts.refused && left_out == facts.left_out) return;
  facts.refused = refused;
  facts.left_out = left_out;
  if (state_->writer != nullptr) state_->writer->look_at_peers();
}

bool Importer::leading() const { return state_->writer != nullptr; }

bool Importer::idle() const { return state_->writer == nullptr || state_->writer->idle(); }

void Importer::release(std::function<void()> done) { state_->elector.release(std::move(done)); }

}  // namespace cw::gateway
