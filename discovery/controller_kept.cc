// The part of Controller for times without the store. It keeps the input of its table on disk,
// serves that table at start, and follows the host's route agent in which clusters are reached.
#include <utility>

#include "base/log.h"
#include "base/reach.h"
#include "discovery/controller.h"

namespace cw::discovery {

LastKnown Controller::last_known() const {
  LastKnown known;
  known.cluster = own_cluster_.id();
  known.serial = tables_.serial();
  known.peers = peers_.items();
  known.remote = remote_.items();
  known.nodes = nodes_.items();
  for (const auto& [key, entry] : book_.entries()) {
    api::ServiceExport object;
    object.meta.key = key;
    known.exports.emplace(key, std::make_shared<const api::ServiceExport>(std::move(object)));
    if (entry.record != nullptr) known.own.emplace(key, entry.record);
  }
  const auto& services = services_.items();
  const auto add = [&](const api::ObjectKey& key) {
    if (const auto at = services.find(key); at != services.end()) known.services.insert(*at);
  };
  if (!config_.service.empty()) add({config_.ns, config_.service});
  for (const auto& [derived, service] : derived_of_) add(derived);
  return known;
}

// At start, before the store has answered.
void Controller::serve_kept() {
  const auto now = loop_.wall_now();
  auto read = read_kept_table(config_.table_file, now, config_.table_max_age);
  if (!read) {
    no_kept_ = read.error().text;
    log_info("no table on disk: all queries get SERVFAIL until the store answers",
             {{"why", no_kept_}});
    return;
  }
  kept_ =
      std::make_unique<Kept>(Kept{std::move(read->known), read->current_until,
                                  ViewBook(config_.stale_drop), dns::TableBuilder(config_.table)});
  auto& known = kept_->known;
  tell(known, kept_->book);
  tables_.set_serial(known.serial);
  (void)kept_->tables.set_servers(servers(known.services));
  if (allow_) allow_(clients_of(known.nodes));
  publish_kept();
  const auto age = now - kept_->current_until;
  log_warn("names are served from the table on disk until the store answers",
           {{"file", config_.table_file},
            {"age_s", age / std::chrono::seconds(1)},
            {"services", kept_->book.view().services.size()}});
  kept_timer_ = loop_.after(config_.table_max_age - age, [this] {
    log_warn("the table on disk is too old: all queries get SERVFAIL until the store answers",
             {{"file", config_.table_file}});
    no_kept_ = "it is older than tableMaxAge";
    drop_kept();
    publish_(std::make_shared<const dns::Table>());
  });
}

void Controller::publish_kept() {
  auto& [known, current_until, book, tables] = *kept_;
  book.set_away(away(known.peers));
  const auto changed = book.update(loop_.wall_now());
  put(tables, book.view(), known.services, changed, known.cluster);
  tables.set_serial(tables_.serial());
  publish_(tables.build(clock_serial()));
  tables_.set_serial(tables.serial());
}

void Controller::drop_kept() {
  kept_.reset();
  kept_timer_.reset();
}

std::optional<Duration> Controller::kept_table_age() const {
  if (kept_ == nullptr) return std::nullopt;
  return std::max(Duration::zero(), loop_.wall_now() - kept_->current_until);
}

// Gateways write ClusterPeer.status, which is outdated while the store is away. Then the route
// agent of this host is used, which probes all gateways.
void Controller::follow_agent() {
  if (config_.reach_file.empty()) return;
  if (!peers_.available()) {
    agent_ends_.reset();
    if (!agent_timer_.active()) {
      agent_timer_ = loop_.every(kAskAgent, [this] { hear_agent(); });
    }
    return;
  }
  if (!reached_) return forget_agent();
  // The store may still have values from before the outage. Gateways need time to write new ones.
  if (!agent_ends_.active()) {
    agent_ends_ = loop_.after(kPeersCatchUp, [this] { forget_agent(); });
  }
}

void Controller::forget_agent() {
  agent_ends_.reset();
  agent_timer_.reset();
  agent_trouble_.clear();
  lost_since_.clear();
  if (std::exchange(reached_, std::nullopt)) debounce_.poke();
}

void Controller::hear_agent() {
  std::optional<std::map<std::string, bool>> reached;
  auto read = read_reach(config_.reach_file);
  const auto now = loop_.now();
  std::string trouble;
  if (!read) {
    trouble = read.error().text;
  } else if (now - read->at > kReachStale || read->at > now + kReachEvery) {
    trouble = "the file is old: the route agent does not write it";
  } else {
    reached = std::move(read->clusters);
  }
  if (std::exchange(agent_trouble_, trouble) != trouble && !trouble.empty()) {
    log_warn(
        "the store is away, and the route agent does not say which clusters are reached: names "
        "stay unchanged",
        {{"file", config_.reach_file}, {"error", trouble}});
  }
  if (reached == reached_) return;
  reached_ = std::move(reached);
  if (kept_ != nullptr) return publish_kept();
  debounce_.poke();
}

Away Controller::away(const Items<api::ClusterPeer>& peers) {
  auto clusters = disconnected(peers);
  if (!reached_) return clusters;
  for (const auto& [cluster, reached] : *reached_) {
    if (reached) {
      clusters.erase(cluster);
      lost_since_.erase(cluster);
    } else {
      const auto since = lost_since_.try_emplace(cluster, loop_.wall_now()).first->second;
      clusters.try_emplace(cluster, since);
    }
  }
  return clusters;
}

}  // namespace cw::discovery
