#include "gateway/feed/import_lease.h"

#include <utility>

#include "api/names.h"
#include "base/log.h"

namespace cw::gateway {
namespace {

// Grace period after the start before a cluster that was connected earlier is reported lost.
constexpr Duration kSettle = std::chrono::seconds(10);
constexpr Duration kResync = std::chrono::seconds(60);  // a full pass even without events

}  // namespace

ImportLease::ImportLease(Loop& loop, api::Store& store, Random& random,
                         const api::LeaseConfig& lease, const RemoteState& remotes)
    : loop_(loop),
      store_(store),
      random_(random),
      remotes_(remotes),
      lease_(lease.key),
      events_(loop, store, random, api::kGatewayWriter, lease.identity),
      elector_(loop, store, random, lease, [this](bool leads) { lead(leads); }) {
  facts_.settled = loop.now() + kSettle;
  resync_ = loop.every(kResync, [this] {
    if (writer_ != nullptr) writer_->reconcile_all();
  });
}

void ImportLease::lead(bool leads) {
  log_info(leads ? "imports are ours" : "imports are another gateway's",
           {{"lease", lease_.to_string()}});
  writer_ = leads
                ? std::make_unique<ImportWriter>(loop_, store_, random_, remotes_, facts_, events_)
                : nullptr;
}

void ImportLease::set_connected(std::set<std::string> clusters) {
  if (clusters == facts_.connected) return;
  facts_.lost.merge(facts_.connected);
  facts_.connected = std::move(clusters);
  if (writer_ != nullptr) writer_->reconcile_peers();
}

void ImportLease::set_troubles(const std::map<api::ObjectKey, Trouble>& refused,
                               const std::map<api::ObjectKey, Trouble>& left_out) {
  if (refused == facts_.refused && left_out == facts_.left_out) return;
  facts_.refused = refused;
  facts_.left_out = left_out;
  if (writer_ != nullptr) writer_->reconcile_peers();
}

void ImportLease::set_refusals(const std::map<std::string, RefusalReport>& told) {
  if (told == facts_.told) return;
  facts_.told = told;
  if (writer_ != nullptr) writer_->reconcile_peers();
}

}  // namespace cw::gateway
