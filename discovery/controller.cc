#include "discovery/controller.h"

#include <algorithm>

namespace cw::discovery {

Controller::Controller(Loop& loop, api::Store& store, Random& random, ControllerConfig config,
                       Publish publish)
    : loop_(loop),
      config_(std::move(config)),
      publish_(std::move(publish)),
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
      peers_(loop, store, random, [this] { debounce_.poke(); }),
      imports_(loop, store, random,
               [this] {
                 debounce_.poke();
                 import_events_.look(lease_.leader());
               }),
      book_(config_.export_namespaces),
      tables_(config_.table),
      writer_(loop, store, {imports_, exports_, services_, slices_}),
      recorder_(loop, store, random, "causeway-discovery", config_.identity),
      export_events_(loop, recorder_, exports_),
      import_events_(loop, recorder_, imports_),
      bad_exports_(loop, store, recorder_, api::Kind::kServiceExport, "Valid"),
      lease_(loop, store, random, {{config_.ns, "causeway-discovery"}, config_.identity},
             [this](bool leads) {
               debounce_.poke();
               export_events_.look(leads);
               import_events_.look(leads);
             }) {
  exports_.set_on_bad([this](const auto& key, const Error& error) {
    if (lease_.leader()) bad_exports_.report(key, error);
  });
}

bool Controller::synced() const {
  return properties_.synced() && exports_.synced() && services_.synced() && slices_.synced() &&
         nodes_.synced() && namespaces_.synced() && remote_.synced() && peers_.synced() &&
         imports_.synced();
}

std::vector<std::string> Controller::not_ready() const {
  std::vector<std::string> out;
  if (!synced()) out.emplace_back("store: not all resources are listed yet");
  if (synced() && cluster_.empty()) {
    out.emplace_back("cluster id: there is no ClusterProperty cluster.clusterset.k8s.io");
  }
  return out;
}

void Controller::look() {
  if (!synced()) return;
  const auto id = properties_.find({"", std::string(api::kClusterIdProperty)});
  const auto cluster = id == nullptr ? std::string() : id->value;
  if (cluster.empty()) {
    // Said once; the property's arrival is an event like any other.
    if (view_.services.empty() && cluster_.empty()) {
      log_warn("no cluster id yet", {{"want", api::kClusterIdProperty}});
    }
    return;
  }
  cluster_ = cluster;
  cidrs_ = pod_cidrs(nodes_.items());
  (void)book_.update(cluster, exports_.items(), services_.items(), slices_.items(),
                     cidrs_);  // all entries are looked at below
  const auto now = loop_.wall_now();
  view_ = view_of(
      {cluster, book_.entries(), remote_.items(), peers_.items(), now, config_.stale_drop}, view_);
  drop_timer_.reset();
  if (view_.next_drop) {
    drop_timer_ = loop_.after(*view_.next_drop - now, [this] { debounce_.poke(); });
  }
  std::vector<dns::TableService> table;
  table.reserve(view_.services.size());
  for (const auto& [key, service] : view_.services)
    table.push_back(
        {service.merged, service.stale,
         config_.derive ? virtual_ips(services_.items(), key) : std::vector<std::string>()});
  const auto begun = std::chrono::steady_clock::now();
  const auto serial = std::chrono::floor<std::chrono::seconds>(now.time_since_epoch()).count();
  publish_(tables_.build(table, static_cast<std::uint32_t>(serial)));
  last_build_ = std::chrono::steady_clock::now() - begun;
  if (lease_.leader()) {
    write();
  } else {
    writer_.stop();
  }
}

void Controller::write() {
  std::map<api::ObjectKey, std::vector<api::Condition>> conditions;
  for (const auto& [key, entry] : book_.entries()) {
    if (const auto object = exports_.find(key); object != nullptr) {
      conditions.emplace(key, export_conditions(*object, entry, view_));
    }
  }
  writer_.want(desired_objects({view_, cluster_, namespaces_.items(), services_.items(),
                                families_of(cidrs_), config_.derive}),
               std::move(conditions));
}

}  // namespace cw::discovery
