#include "discovery/controller.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/names.h"

namespace cw::discovery {

Controller::Controller(Loop& loop, api::Store& store, Random& random, ControllerConfig config,
                       Publish publish, Allow allow, Background disk)
    : loop_(loop),
      config_(std::move(config)),
      publish_(std::move(publish)),
      allow_(std::move(allow)),
      debounce_(loop, kQuiet, [this] { look(); }),
      properties_(loop, store, random, [this] { debounce_.poke(); }),
      exports_(loop, store, random,
               [this] {
                 debounce_.poke();
                 export_events_.look(lease_.leader());
               }),
      services_(loop, store, random, [this] { debounce_.poke(); }),
      slices_(loop, store, random, [this] { debounce_.poke(); }),
      nodes_(loop, store, random, [this] { debounce_.poke(); }),
      namespaces_(loop, store, random, [this] { debounce_.poke(); }),
      remote_(loop, store, random, [this] { debounce_.poke(); }),
      peers_(loop, store, random,
             [this] {
               debounce_.poke();
               follow_agent();
             }),
      imports_(loop, store, random,
               [this] {
                 debounce_.poke();
                 import_events_.look(lease_.leader());
               }),
      book_(config_.export_namespaces),
      view_(config_.stale_drop),
      tables_(config_.table),
      writer_(loop, store, random, {imports_, exports_, services_, slices_}),
      recorder_(loop, store, random, api::kDiscoveryWriter, config_.identity),
      export_events_(loop, recorder_, exports_),
      import_events_(loop, recorder_, imports_),
      bad_exports_(loop, store, recorder_, api::Kind::kServiceExport, "Valid"),
      lease_(loop, store, random,
             {{config_.ns, std::string(api::kDiscoveryLease)}, config_.identity},
             [this](bool leads) {
               debounce_.poke();
               export_events_.look(leads);
               import_events_.look(leads);
             }) {
  // Foreign objects are kept only as far as exports need them.
  services_.set_trim([](api::Service& object) {
    if (ours(object.meta)) return;
    object.meta.uid = {};
    object.meta.labels.clear();
    object.meta.annotations.clear();
  });
  slices_.set_trim([](api::EndpointSlice& object) {
    if (ours(object.meta)) return;
    object.meta.uid = {};
    object.meta.annotations.clear();
    std::erase_if(object.meta.labels,
                  [](const auto& label) { return label.first != api::kServiceNameLabel; });
    for (auto& endpoint : object.endpoints) endpoint.node = {};
  });
  remote_.set_trim([](api::RemoteExport& object) { object.meta.annotations.clear(); });
  exports_.track_changes();
  services_.track_changes();
  slices_.track_changes();
  nodes_.track_changes();
  namespaces_.track_changes();
  remote_.track_changes();
  imports_.track_changes();
  exports_.set_on_bad([this](const auto& key, const Error& error) {
    if (lease_.leader()) bad_exports_.report(key, error);
  });
  follow_agent();
  if (config_.table_file.empty()) {
    no_kept_ = "no tableFile is configured";
    return;
  }
  keeper_ = std::make_unique<TableKeeper>(
      loop, std::move(disk), config_.table_file, [this] { return last_known(); },
      [this] { return synced() && available(); });
  serve_kept();
}

bool Controller::synced() const {
  return properties_.synced() && exports_.synced() && services_.synced() && slices_.synced() &&
         nodes_.synced() && namespaces_.synced() && remote_.synced() && peers_.synced() &&
         imports_.synced();
}

bool Controller::available() const {
  return properties_.available() && exports_.available() && services_.available() &&
         slices_.available() && nodes_.available() && remote_.available() && peers_.available();
}

std::vector<std::string> Controller::not_ready() const {
  std::vector<std::string> out;
  if (!synced()) out.emplace_back("store: not all resources are listed yet");
  if (const auto age = kept_table_age()) {
    out.push_back(fmt::format("names: served from the table on disk, which is {} s old",
                              *age / std::chrono::seconds(1)));
  } else if (!synced()) {
    out.push_back(fmt::format(
        "names: all queries get SERVFAIL, because there is no table on disk: {}", no_kept_));
  }
  if (synced() && own_cluster_.id().empty()) {
    out.emplace_back("cluster id: there is no ClusterProperty cluster.clusterset.k8s.io");
  }
  return out;
}

bool Controller::take_cluster() {
  const auto id = properties_.find({"", std::string(api::kClusterIdProperty)});
  if (id == nullptr || id->value.empty()) {
    // Logged once. When the property appears, the informer calls again.
    if (own_cluster_.id().empty() && !published_) {
      log_warn("no cluster id yet: create this ClusterProperty",
               {{"name", api::kClusterIdProperty}});
    }
    return false;
  }
  const auto before = own_cluster_.trouble();
  own_cluster_.take(id->value);
  if (const auto now = own_cluster_.trouble(); now != before && !now.empty()) log_warn(now);
  view_.set_cluster(own_cluster_.id());
  return true;
}

void Controller::all_services(Keys& keys) const {
  for (const auto& [key, service] : view_.view().services) keys.insert(key);
}

Controller::Keys Controller::take_changes() {
  Keys keys;
  if (!nodes_.take_changes().empty() || cidrs_.empty()) {
    cidrs_ = pod_cidrs(nodes_.items());
    if (allow_) allow_(clients_of(nodes_.items()));
    if (auto families = families_of(cidrs_); families != families_) {
      families_ = std::move(families);
      all_services(keys);
    }
  }
  for (const auto& key : exports_.take_changes()) {
    book_.note(key, exports_.find(key));
    view_.exported(key, exports_.find(key) != nullptr);
    writer_.look(api::Kind::kServiceExport, key);
  }
  for (const auto& key : services_.take_changes()) {
    book_.note(key, services_.find(key));
    const auto* unreadable = services_.unreadable(key);
    book_.note_unreadable_service(key, unreadable == nullptr ? std::string() : unreadable->why);
    writer_.look(api::Kind::kService, key);
    if (const auto at = derived_of_.find(key); at != derived_of_.end()) keys.insert(at->second);
  }
  for (const auto& key : slices_.take_changes()) {
    book_.note(key, slices_.find(key));
    note_unreadable_slice(key);
    writer_.look(api::Kind::kEndpointSlice, key);
  }
  for (const auto& key : imports_.take_changes()) {
    writer_.look(api::Kind::kServiceImport, key);
  }
  const auto remote = remote_.take_changes();
  burst_.add(remote.size(), loop_.now());
  for (const auto& key : remote) view_.remote(key, remote_.find(key));
  view_.set_peers(peers_.items());
  view_.set_away(away(peers_.items()));
  for (const auto& change : book_.settle(own_cluster_.id(), cidrs_)) {
    view_.local(change.service, change.record);
  }
  const auto& services = view_.view().services;
  for (const auto& space : namespaces_.take_changes()) {
    for (auto at = services.lower_bound({space.name, ""});
         at != services.end() && at->first.ns == space.name; ++at) {
      keys.insert(at->first);
    }
  }
  return keys;
}

void Controller::note_unreadable_slice(const api::ObjectKey& key) {
  const auto* unreadable = slices_.unreadable(key);
  if (unreadable == nullptr) return book_.note_unreadable_slice(key, {}, {});
  const auto label = unreadable->labels.find(std::string(api::kServiceNameLabel));
  book_.note_unreadable_slice(
      key, {key.ns, label == unreadable->labels.end() ? std::string() : label->second},
      unreadable->why);
}

std::size_t Controller::incomplete_exports() const {
  const auto& entries = book_.entries();
  return static_cast<std::size_t>(
      std::count_if(entries.begin(), entries.end(),
                    [](const auto& entry) { return entry.second.lacking.has_value(); }));
}

// Logs exports that newly lack endpoints. Their conditions and Events say so, too.
void Controller::tell_incomplete() {
  for (const auto& key : book_.judged()) {
    const auto entry = book_.entries().find(key);
    const bool lacks = entry != book_.entries().end() && entry->second.lacking;
    if (!lacks) {
      incomplete_.erase(key);
    } else if (incomplete_.insert(key).second) {
      log_warn("export lacks endpoints", {{"service", key.to_string()},
                                          {"reason", entry->second.lacking->reason},
                                          {"message", entry->second.lacking->message}});
    }
  }
}

void Controller::look() {
  if (!synced() || !take_cluster()) return;
  auto changed = take_changes();
  const auto now = loop_.wall_now();
  changed.merge(view_.update(now));
  drop_timer_.reset();
  if (const auto next = view_.view().next_drop) {
    drop_timer_ = loop_.after(*next - now, [this] { debounce_.poke(); });
  }
  publish(changed);
  tell_incomplete();
  if (!lease_.leader()) {
    writing_ = false;
    return writer_.stop();
  }
  tell_dropped();
  defer_creates();
  write(std::move(changed));
}

void Controller::defer_creates() {
  const auto now = loop_.now();
  const bool meeting = burst_.active(now);
  if (!meeting) {
    initial_sync_since_.reset();
  } else if (!initial_sync_since_) {
    initial_sync_since_ = now;
  }
  writer_.defer_creates(meeting && now - *initial_sync_since_ < kMostPatience);
  meeting_timer_.reset();
  if (meeting) meeting_timer_ = loop_.after(kMeetingWindow, [this] { debounce_.poke(); });
}

// Logs each outage once. The ServiceImports that remain also tell it. Those that are gone cannot.
void Controller::tell_dropped() {
  const auto& now = view_.view().dropped;
  for (const auto& [key, peer] : peers_.items()) {
    const auto& cluster = peer->spec.cluster_id;
    if (now.count(cluster) == 0 || dropped_.count(cluster) != 0) continue;
    log_warn("exports dropped: their cluster was not reached for longer than staleDrop",
             {{"cluster", cluster}});
    recorder_.record(api::Kind::kClusterPeer, peer->meta,
                     {true, "ExportsDropped",
                      "the cluster was not reached for longer than staleDrop: its exports are "
                      "left out of DNS and ServiceImports until it is reached again"});
  }
  dropped_ = now;
}

std::uint32_t Controller::clock_serial() const {
  return static_cast<std::uint32_t>(
      std::chrono::floor<std::chrono::seconds>(loop_.wall_now().time_since_epoch()).count());
}

std::vector<IpAddress> Controller::servers(const Items<api::Service>& services) const {
  if (!config_.server_addresses.empty()) return config_.server_addresses;
  std::vector<IpAddress> out;
  if (const auto own = services.find({config_.ns, config_.service}); own != services.end()) {
    for (const auto& ip : own->second->spec.cluster_ips) {  // "None" is no address
      if (const auto address = IpAddress::parse(ip)) out.push_back(*address);
    }
  }
  return out.empty() ? config_.table.servers : out;
}

void Controller::put(dns::TableBuilder& tables, const View& view,
                     const Items<api::Service>& services, const Keys& changed,
                     const std::string& cluster) const {
  for (const auto& key : changed) {
    const auto at = view.services.find(key);
    if (at == view.services.end()) {
      tables.remove(key);
      continue;
    }
    tables.put({at->second.merged, at->second.stale,
                config_.derive ? virtual_ips(services, key) : std::vector<std::string>(), cluster});
  }
}

void Controller::publish(const Keys& changed) {
  const bool moved = tables_.set_servers(servers(services_.items()));
  if (published_ && changed.empty() && !moved) return;
  published_ = true;
  const auto begun = std::chrono::steady_clock::now();
  const auto& services = view_.view().services;
  for (const auto& key : changed) {
    if (services.count(key) == 0) {
      derived_of_.erase(derived_key(key));
    } else if (config_.derive) {
      derived_of_[derived_key(key)] = key;
    }
  }
  put(tables_, view_.view(), services_.items(), changed, own_cluster_.id());
  publish_(tables_.build(clock_serial()));
  last_build_ = std::chrono::steady_clock::now() - begun;
  drop_kept();
  if (keeper_) keeper_->note_change();
}

void Controller::write(Keys changed) {
  Keys exports = book_.judged();
  if (!writing_) {
    all_services(changed);
    for (const auto& [key, entry] : book_.entries()) exports.insert(key);
  }
  exports.insert(changed.begin(), changed.end());  // their conflicts may have changed
  const DesiredInputs inputs{own_cluster_.id(), namespaces_.items(), services_.items(), families_,
                             config_.derive};
  const auto& services = view_.view().services;
  for (const auto& key : changed) {
    const auto at = services.find(key);
    writer_.want(
        key, at == services.end() ? DesiredService{} : desired_service(inputs, key, at->second));
  }
  for (const auto& key : exports) {
    const auto object = exports_.find(key);
    const auto entry = book_.entries().find(key);
    writer_.want(key, object == nullptr || entry == book_.entries().end()
                          ? std::vector<api::Condition>()
                          : export_conditions(*object, entry->second, view_.view()));
  }
  if (!writing_) writer_.adopt();
  writing_ = true;
}

}  // namespace cw::discovery
