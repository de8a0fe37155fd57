#include "api/mcs/serving.h"

#include <algorithm>

namespace cw::api {

namespace {

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> out(1);
  for (const char c : text) {
    if (c == ',') {
      out.emplace_back();
    } else if (c != ' ') {
      out.back() += c;
    }
  }
  return out;
}

// The clusters in the order in which they should serve. Empty: no order.
std::vector<std::string> order_of(const ServingInputs& inputs) {
  std::vector<std::string> order;
  if (inputs.wishes == nullptr) return order;
  const auto prefer = inputs.wishes->find(std::string(kPrefer));
  if (prefer != inputs.wishes->end() && prefer->second == "local") order.push_back(inputs.local);
  if (const auto at = inputs.wishes->find(std::string(kFailover)); at != inputs.wishes->end()) {
    const auto more = split(at->second);
    order.insert(order.end(), more.begin(), more.end());
  }
  return order;
}

bool none_ready(const std::vector<const ExportRecord*>& records,
                const std::set<std::string>& clusters) {
  return std::none_of(records.begin(), records.end(), [&](const auto* record) {
    return clusters.count(record->cluster) != 0 &&
           std::any_of(record->endpoints.begin(), record->endpoints.end(),
                       [](const auto& endpoint) { return endpoint.ready; });
  });
}

// The members of `clusters` with an endpoint that takes connections.
std::set<std::string> able(const std::vector<const ExportRecord*>& records,
                           const std::set<std::string>& clusters) {
  const bool fallback = none_ready(records, clusters);
  std::set<std::string> out;
  for (const auto* record : records) {
    const auto& endpoints = record->endpoints;
    if (clusters.count(record->cluster) != 0 &&
        std::any_of(endpoints.begin(), endpoints.end(), [&](const auto& endpoint) {
          return endpoint.ready || (fallback && endpoint.fallback());
        })) {
      out.insert(record->cluster);
    }
  }
  return out;
}

std::set<std::string> serving_clusters(const ServingInputs& inputs,
                                       const std::set<std::string>& connected) {
  const auto order = order_of(inputs);
  if (order.empty()) return connected;
  const auto candidates = able(inputs.records, connected);
  for (const auto& cluster : order) {
    if (candidates.count(cluster) != 0) return {cluster};
  }
  return connected;
}

}  // namespace

Away disconnected(const std::map<ObjectKey, std::shared_ptr<const ClusterPeer>>& peers) {
  Away out;
  std::set<std::string> connected;  // two peers may have one id; one suffices
  for (const auto& [key, peer] : peers) {
    const auto& cluster = peer->spec.cluster_id;
    if (peer->status.connected) {
      connected.insert(cluster);
      continue;
    }
    const auto* said = find_condition(peer->status.conditions, "Connected");
    const auto since = said == nullptr ? WallTime{} : said->last_transition;
    auto& known = out[cluster];
    known = std::max(known, since);
  }
  for (const auto& cluster : connected) out.erase(cluster);
  return out;
}

Serving serving_of(const ServingInputs& inputs, Access access) {
  std::set<std::string> all;
  std::set<std::string> connected;
  for (const auto* record : inputs.records) {
    all.insert(record->cluster);
    if (inputs.stale.count(record->cluster) == 0) connected.insert(record->cluster);
  }
  Serving out{serving_clusters(inputs, connected), {}};
  if (access == Access::kNames && able(inputs.records, out.clusters).empty()) out.clusters = all;
  const bool fallback = none_ready(inputs.records, out.clusters);
  for (const auto& cluster : all) {
    const bool serves = out.clusters.count(cluster) != 0;
    if (serves ? fallback : none_ready(inputs.records, {cluster})) out.fall_back.insert(cluster);
  }
  return out;
}

}  // namespace cw::api
