#include "cli/resolve.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "api/mcs/imports.h"
#include "api/mcs/serving.h"
#include "cli/output/table.h"
#include "cli/output/units.h"

namespace cw::cli {

namespace {

std::vector<std::string> labels_of(std::string_view text) {
  std::vector<std::string> labels(1);
  for (const char c : text) {
    if (c == '.') {
      labels.emplace_back();
    } else {
      labels.back() += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
  }
  return labels;
}

tl::unexpected<Error> not_a_name(std::string_view text) {
  return fail(Errc::kInvalid,
              fmt::format("\"{}\" is not SERVICE.NAMESPACE.svc.clusterset.local, "
                          "HOSTNAME.CLUSTER.SERVICE.NAMESPACE.svc.clusterset.local or "
                          "NAMESPACE/SERVICE",
                          text));
}

// The ClusterPeers as discovery sees them.
struct Peers {
  explicit Peers(const std::vector<api::ClusterPeer>& peers) {
    std::map<api::ObjectKey, std::shared_ptr<const api::ClusterPeer>> all;
    for (const auto& peer : peers) {
      all.emplace(peer.meta.key, std::make_shared<const api::ClusterPeer>(peer));
    }
    by_cluster = api::peers_by_cluster(all);
    away = api::disconnected(all);
  }
  api::PeersByCluster by_cluster;
  api::Away away;
};

// Why a remote cluster's endpoints are stale. Empty: they are not.
std::string staleness(const Peers& peers, const std::string& cluster) {
  const auto at = peers.away.find(cluster);
  if (at == peers.away.end()) return {};
  if (at->second == WallTime{}) return "not connected";
  return "not connected since " + api::format_time(at->second);
}

// Why a remote cluster's exports of the name are not imported. Empty: they are.
std::string refusal(const Peers& peers, const std::string& cluster, const api::ObjectKey& service,
                    bool exported_here) {
  const auto at = peers.by_cluster.find(cluster);
  if (at == peers.by_cluster.end()) return "no longer a peer";
  const auto& name = at->second->meta.key.name;
  switch (api::import_verdict(at->second->spec, service, exported_here)) {
    case api::ImportVerdict::kNotListed:
      return fmt::format("spec.imports of ClusterPeer {} does not list it", name);
    case api::ImportVerdict::kOverLocal:
      return fmt::format(
          "this cluster exports it, and spec.imports of ClusterPeer {} has no rule for it with "
          "overLocal",
          name);
    case api::ImportVerdict::kImported:
      break;
  }
  return {};
}

bool wanted(const Name& name, const api::ExportEndpoint& endpoint) {
  return name.hostname.empty() || endpoint.hostname == name.hostname ||
         endpoint.pod == name.hostname;
}

struct Source {
  const api::ExportRecord* record = nullptr;
  std::string stale;  // the reason; empty: not stale
  bool own = false;
  std::string refused = {};  // the reason why it is not imported; empty: it is
};

// Which endpoints answer, by discovery's own rule (api/mcs/serving.h).
struct Answering {
  api::Serving serving;
  bool by_proxy = false;  // a virtual IP leads to them
  bool by_wish = false;   // an annotation chose among the connected clusters
};

Answering answering(const ResolveInputs& in, const std::vector<Source>& sources) {
  std::vector<const api::ExportRecord*> records;
  std::set<std::string> stale;
  for (const auto& source : sources) {
    if (!source.refused.empty()) continue;
    records.push_back(source.record);
    if (!source.stale.empty()) stale.insert(source.record->cluster);
  }
  // The import has only those annotations that are used in this cluster.
  const auto* wishes = in.import ? &in.import->meta.annotations : nullptr;
  Answering out;
  out.by_proxy = in.import && !in.import->spec.ips.empty();
  const auto access = out.by_proxy ? api::Access::kVirtualIp : api::Access::kNames;
  out.serving = api::serving_of({records, wishes, stale, in.cluster}, access);
  out.by_wish = out.serving.clusters !=
                api::serving_of({records, nullptr, stale, in.cluster}, access).clusters;
  return out;
}

// Why an endpoint does not answer. Empty: it does.
std::string why_not(const Source& source, const api::ExportEndpoint& endpoint, const Name& name,
                    const Answering& answering) {
  if (!source.refused.empty()) return "not imported";
  const auto& cluster = source.record->cluster;
  if (!answering.serving.takes(cluster, endpoint)) {
    return endpoint.fallback() ? "it terminates, and others are ready" : "not ready";
  }
  // A pod's own name always leads to that pod.
  if (answering.serving.clusters.count(cluster) != 0 || !name.hostname.empty()) return {};
  if (!source.stale.empty()) {
    return answering.by_proxy ? "its cluster is stale" : "its cluster is stale and others are not";
  }
  return answering.by_wish ? "causeway.dev/prefer or /failover chose another cluster"
                           : "another cluster answers";
}

ClusterAnswer answer_of(const Name& name, const Source& source, const Answering& answering) {
  ClusterAnswer answer{source.record->cluster,
                       !source.refused.empty() ? "not imported: " + source.refused
                       : source.own            ? "this cluster"
                       : source.stale.empty()  ? "connected"
                                               : "stale: " + source.stale,
                       {}};
  for (const auto& endpoint : source.record->endpoints) {
    if (!wanted(name, endpoint)) continue;
    EndpointAnswer line{endpoint.hostname, endpoint.addresses, false,
                        why_not(source, endpoint, name, answering)};
    line.answers = line.why_not.empty();
    answer.endpoints.push_back(std::move(line));
  }
  return answer;
}

std::string full_name(const Name& name) {
  const auto service =
      fmt::format("{}.{}.svc.clusterset.local", name.service.name, name.service.ns);
  return name.hostname.empty() ? service
                               : fmt::format("{}.{}.{}", name.hostname, name.cluster, service);
}

}  // namespace

Result<Name> parse_name(std::string_view text) {
  const auto original = text;
  if (text.size() > 254) return not_a_name(text.substr(0, 64));
  Name name;
  if (const auto slash = text.find('/'); slash != std::string_view::npos) {
    name.service = {std::string(text.substr(0, slash)), std::string(text.substr(slash + 1))};
  } else {
    if (!text.empty() && text.back() == '.') text.remove_suffix(1);
    auto labels = labels_of(text);
    const std::vector<std::string> zone{"svc", "clusterset", "local"};
    if (labels.size() != 5 && labels.size() != 7) return not_a_name(original);
    if (!std::equal(zone.begin(), zone.end(), labels.end() - 3)) return not_a_name(original);
    if (labels.size() == 7) {
      name.hostname = labels[0];
      name.cluster = labels[1];
      if (!api::is_dns_label(name.hostname) || !api::is_dns_label(name.cluster)) {
        return not_a_name(original);
      }
    }
    name.service = {labels[labels.size() - 4], labels[labels.size() - 5]};
  }
  if (!api::is_dns_label(name.service.ns) || !api::is_dns_label(name.service.name)) {
    return not_a_name(original);
  }
  return name;
}

bool Resolution::answers() const {
  return std::any_of(clusters.begin(), clusters.end(), [](const auto& cluster) {
    return std::any_of(cluster.endpoints.begin(), cluster.endpoints.end(),
                       [](const auto& endpoint) { return endpoint.answers; });
  });
}

Resolution resolve(const Name& name, const ResolveInputs& in) {
  Resolution found{name, {}, {}, {}, {}};
  const Peers peers(in.peers);
  std::vector<Source> sources;
  if (in.own) sources.push_back({&*in.own, {}, true});
  for (const auto& remote : in.remote) {
    const auto& cluster = remote.spec.cluster;
    sources.push_back({&remote.spec, staleness(peers, cluster), false,
                       refusal(peers, cluster, name.service, in.exported)});
  }
  std::sort(sources.begin(), sources.end(),
            [](const Source& a, const Source& b) { return a.record->cluster < b.record->cluster; });
  const auto decided = answering(in, sources);
  std::erase_if(sources, [&](const Source& source) {
    return !name.cluster.empty() && source.record->cluster != name.cluster;
  });
  for (const auto& source : sources) found.clusters.push_back(answer_of(name, source, decided));

  for (const auto& [cluster, peer] : peers.by_cluster) {
    if (!name.cluster.empty() && name.cluster != cluster) continue;
    const bool told = std::any_of(
        sources.begin(), sources.end(),
        [&, &id = cluster](const Source& source) { return source.record->cluster == id; });
    const bool listed =
        api::import_verdict(peer->spec, name.service, false) == api::ImportVerdict::kImported;
    if (told || listed) continue;
    found.notes.push_back(fmt::format("exports of cluster {} are not imported: {}", cluster,
                                      refusal(peers, cluster, name.service, in.exported)));
  }
  if (!in.own_problem.empty()) found.notes.push_back("export of this cluster: " + in.own_problem);
  if (in.import) {
    found.type = in.import->spec.type;
    found.ips = in.import->spec.ips;
    if (!name.hostname.empty() && found.type == "ClusterSetIP") {
      for (auto& cluster : found.clusters) {
        for (auto& endpoint : cluster.endpoints) {
          endpoint.answers = false;
          endpoint.why_not = "only headless Services have names for their pods";
        }
      }
    }
  } else if (sources.empty()) {
    found.notes.push_back(name.cluster.empty()
                              ? "no cluster exports it"
                              : fmt::format("cluster {} does not export it", name.cluster));
  } else {
    found.notes.emplace_back("no ServiceImport yet: causeway-discovery has not created it");
  }
  const bool any = std::any_of(found.clusters.begin(), found.clusters.end(),
                               [](const auto& cluster) { return !cluster.endpoints.empty(); });
  if (!any && !found.clusters.empty()) {
    found.notes.push_back(name.hostname.empty()
                              ? "its exporters have no endpoints"
                              : fmt::format("no endpoint has the name {}", name.hostname));
  }
  return found;
}

std::string resolution_text(const Resolution& found, bool colours) {
  std::string text = full_name(found.name);
  if (!found.type.empty()) text += " (" + found.type + ")";
  text += "\n";
  if (!found.ips.empty()) {
    text += fmt::format("cluster set IP: {}\n", fmt::join(found.ips, " "));
  }
  Table table({"CLUSTER", "STATE", "ENDPOINT", "ADDRESSES", "ANSWERS"});
  for (const auto& cluster : found.clusters) {
    const auto tone = cluster.state.rfind("stale", 0) == 0 || cluster.state.rfind("not", 0) == 0
                          ? Tone::kWarn
                          : Tone::kGood;
    if (cluster.endpoints.empty()) {
      table.add({cluster.cluster, Cell(cluster.state, tone), "-", "-", Cell("no", Tone::kWarn)});
    }
    for (const auto& endpoint : cluster.endpoints) {
      table.add({cluster.cluster, Cell(cluster.state, tone), endpoint.hostname,
                 joined(endpoint.addresses),
                 endpoint.answers ? Cell("yes", Tone::kGood)
                                  : Cell("no: " + endpoint.why_not, Tone::kWarn)});
    }
  }
  if (!table.empty()) text += "\n" + table.text(colours);
  if (!found.notes.empty()) text += "\n";
  for (const auto& note : found.notes) text += painted("! " + note, Tone::kBad, colours) + "\n";
  return text;
}

nlohmann::ordered_json resolution_tree(const Resolution& found) {
  nlohmann::ordered_json tree;
  tree["name"] = full_name(found.name);
  tree["type"] = found.type;
  tree["ips"] = found.ips;
  tree["answers"] = found.answers();
  tree["clusters"] = nlohmann::ordered_json::array();
  for (const auto& cluster : found.clusters) {
    nlohmann::ordered_json entry;
    entry["cluster"] = cluster.cluster;
    entry["state"] = cluster.state;
    entry["endpoints"] = nlohmann::ordered_json::array();
    for (const auto& endpoint : cluster.endpoints) {
      nlohmann::ordered_json line;
      line["hostname"] = endpoint.hostname;
      line["addresses"] = texts_of(endpoint.addresses);
      line["answers"] = endpoint.answers;
      if (!endpoint.answers) line["why"] = endpoint.why_not;
      entry["endpoints"].push_back(std::move(line));
    }
    tree["clusters"].push_back(std::move(entry));
  }
  tree["notes"] = found.notes;
  return tree;
}

}  // namespace cw::cli
