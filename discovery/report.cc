#include "discovery/report.h"

#include "api/names.h"

namespace cw::discovery {

Report::Report(Loop& loop, api::Store& store, Random& random, const Sources& sources,
               const std::string& identity)
    : recorder_(loop, store, random, api::kDiscoveryWriter, identity),
      export_events_(loop, recorder_, sources.exports),
      import_events_(loop, recorder_, sources.imports),
      bad_exports_(loop, store, recorder_, api::Kind::kServiceExport, "Valid") {}

void Report::report_conditions(bool leads) {
  export_events_.look(leads);
  import_events_.look(leads);
}

void Report::report_dropped(const std::set<std::string>& clusters,
                            const Items<api::ClusterPeer>& peers) {
  for (const auto& [key, peer] : peers) {
    const auto& cluster = peer->spec.cluster_id;
    if (clusters.count(cluster) == 0 || dropped_.count(cluster) != 0) continue;
    log_warn("exports dropped: their cluster was not reached for longer than staleDrop",
             {{"cluster", cluster}});
    recorder_.record(api::Kind::kClusterPeer, peer->meta,
                     {true, "ExportsDropped",
                      "the cluster was not reached for longer than staleDrop: its exports are "
                      "left out of DNS and ServiceImports until it is reached again"});
  }
  dropped_ = clusters;
}

}  // namespace cw::discovery
