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

// The members of `clusters` with an endpoint that takes connections.
std::set<std::string> able(const std::vector<const ExportRecord*>& records,
                           const std::set<std::string>& clusters) {
  const bool fallback = none_ready(records, clusters);
  std::set<std::string> out;
  for (const auto* record : records) {
    const auto& endpoints = record->endpoints;
    if (clusters.count(record->cluster) != 0 &&
        std::any_of(endpoints.begin(), endpoints.end(),
                    [&](const auto& endpoint) { return takes_traffic(endpoint, fallback); })) {
      out.insert(record->cluster);
    }
  }
  return out;
}

}  // namespace

bool none_ready(const std::vector<const ExportRecord*>& records,
                const std::set<std::string>& clusters) {
  return std::none_of(records.begin(), records.end(), [&](const auto* record) {
    return clusters.count(record->cluster) != 0 &&
           std::any_of(record->endpoints.begin(), record->endpoints.end(),
                       [](const auto& endpoint) { return endpoint.ready; });
  });
}

std::set<std::string> serving_clusters(const ServingInputs& inputs) {
  std::set<std::string> connected;
  for (const auto* record : inputs.records) {
    if (inputs.stale.count(record->cluster) == 0) connected.insert(record->cluster);
  }
  const auto order = order_of(inputs);
  if (order.empty()) return connected;
  const auto candidates = able(inputs.records, connected);
  for (const auto& cluster : order) {
    if (candidates.count(cluster) != 0) return {cluster};
  }
  return connected;
}

std::set<std::string> answering_clusters(const ServingInputs& inputs) {
  auto serving = serving_clusters(inputs);
  if (!able(inputs.records, serving).empty()) return serving;
  for (const auto* record : inputs.records) serving.insert(record->cluster);
  return serving;
}

}  // namespace cw::api
