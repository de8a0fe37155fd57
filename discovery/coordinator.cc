#include "discovery/coordinator.h"

#include <fmt/format.h>

#include "api/names.h"

namespace cw::discovery {

using api::Kind;

Coordinator::Coordinator(Loop& loop, api::Store& store, Random& random, const Config& config,
                         Outlet outlet, Background disk)
    : loop_(loop),
      config_(config),
      outlet_(std::move(outlet)),
      debounce_(loop, kQuiet, [this] { reconcile(); }),
      sources_({loop, store, random, [this](Kind kind) { on_change(kind); }, config.ns}),
      exports_(config.export_namespaces),
      reach_(loop, config.reach_file,
             [this] {
               if (!sources_.peers.available()) kept_.update(reach_);
               debounce_.poke();
             }),
      kept_(loop, config, outlet_),
      names_(loop, config, outlet_),
      report_(loop, store, random, sources_, config.identity),
      objects_(loop, store, random, sources_, config.derive, [this] { debounce_.poke(); }),
      lease_(loop, store, random, {{config.ns, std::string(api::kDiscoveryLease)}, config.identity},
             [this](bool leads) {
               debounce_.poke();
               report_.report_conditions(leads);
             }) {
  sources_.exports.set_on_bad([this](const auto& key, const Error& error) {
    if (lease_.leader()) report_.report_bad_export(key, error);
  });
  reach_.set_store_available(sources_.peers.available());
  if (!config.table_file.empty()) {
    keeper_.emplace(
        loop, std::move(disk), config.table_file, [this] { return last_known(); },
        [this] { return sources_.synced() && sources_.available(); });
  }
}

void Coordinator::on_change(Kind kind) {
  debounce_.poke();
  if (kind == Kind::kServiceExport || kind == Kind::kServiceImport) {
    report_.report_conditions(lease_.leader());
  }
  if (kind == Kind::kClusterPeer) reach_.set_store_available(sources_.peers.available());
}

std::vector<std::string> Coordinator::not_ready() const {
  std::vector<std::string> out;
  const bool synced = sources_.synced();
  if (!synced) out.emplace_back("store: not all resources are listed yet");
  if (const auto age = kept_.age()) {
    out.push_back(fmt::format("names: served from the table on disk, which is {} s old",
                              *age / std::chrono::seconds(1)));
  } else if (!synced) {
    out.push_back(
        fmt::format("names: all queries get SERVFAIL, because there is no table on disk: {}",
                    kept_.why_none()));
  }
  if (synced && sources_.own_cluster.id().empty()) {
    out.emplace_back("cluster id: there is no ClusterProperty cluster.clusterset.k8s.io");
  }
  if (const auto& trouble = sources_.pods.trouble(); !trouble.empty()) out.push_back(trouble);
  return out;
}

void Coordinator::reconcile() {
  if (!sources_.synced() || !sources_.read_own_cluster()) return;
  auto changed = record(sources_.take_changes());
  const auto now = loop_.wall_now();
  changed.merge(names_.book().update(now));
  const auto& view = names_.view();
  drop_timer_.reset();
  if (view.next_drop) {
    drop_timer_ = loop_.after(*view.next_drop - now, [this] { debounce_.poke(); });
  }
  if (names_.publish(changed, sources_.services.items())) {
    kept_.stop();
    if (keeper_) keeper_->record_change();
  }
  if (!lease_.leader()) return objects_.stop();
  report_.report_dropped(view.dropped, sources_.peers.items());
  objects_.update(std::move(changed), view, exports_.book());
}

Keys Coordinator::record(const Changes& changes) {
  Keys again;
  auto& book = names_.book();
  const auto& services = names_.view().services;
  if (!changes.at(Kind::kNode).empty() || !names_.published()) {
    const auto nodes = sources_.nodes();
    outlet_.allow(clients_of(nodes));
    if (objects_.set_families(families_of(pod_cidrs(nodes)))) {
      for (const auto& [key, service] : services) again.insert(key);
    }
  }
  book.set_cluster(sources_.own_cluster.id());
  exports_.update(changes, sources_, book);
  for (const auto& key : changes.at(Kind::kRemoteExport))
    book.set_remote(key, sources_.remote.find(key));
  book.set_peers(sources_.peers.items());
  book.set_away(reach_.corrected(api::disconnected(sources_.peers.items())));
  objects_.record(changes);
  for (const auto& key : changes.at(Kind::kService)) {
    const auto at = names_.by_derived().find(key);
    if (at != names_.by_derived().end()) again.insert(at->second);
  }
  for (const auto& space : changes.at(Kind::kNamespace)) {
    for (auto at = services.lower_bound({space.name, ""});
         at != services.end() && at->first.ns == space.name; ++at) {
      again.insert(at->first);
    }
  }
  return again;
}

LastKnown Coordinator::last_known() const {
  LastKnown known;
  known.cluster = sources_.own_cluster.id();
  known.serial = outlet_.serial.value_or(0);
  known.peers = sources_.peers.items();
  known.remote = sources_.remote.items();
  known.nodes = sources_.nodes();
  for (const auto& [key, entry] : exports_.book().entries()) {
    api::ServiceExport object;
    object.meta.key = key;
    known.exports.emplace(key, std::make_shared<const api::ServiceExport>(std::move(object)));
    if (entry.record != nullptr) known.own.emplace(key, entry.record);
  }
  const auto& services = sources_.services.items();
  const auto add = [&](const api::ObjectKey& key) {
    if (const auto at = services.find(key); at != services.end()) known.services.insert(*at);
  };
  if (!config_.service.empty()) add({config_.ns, config_.service});
  for (const auto& [derived, service] : names_.by_derived()) add(derived);
  return known;
}

}  // namespace cw::discovery
