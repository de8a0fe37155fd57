#include "api/mcs/shares.h"

#include <algorithm>
#include <string>
#include <tuple>
#include <vector>

namespace cw::api {
namespace {

// Upper bounds in bytes: a message's frame and fixed fields; a repeated message, or a string in it.
constexpr std::size_t kFrame = 96;
constexpr std::size_t kItem = 12;
// An endpoint: frame, three conditions, the port set, and the frames of its strings.
constexpr std::size_t kEndpoint = 20;

std::size_t bytes_of(const std::map<std::string, std::string>& entries) {
  std::size_t bytes = 0;
  for (const auto& [key, value] : entries) bytes += kItem + key.size() + value.size();
  return bytes;
}

struct Candidate {
  const ObjectKey* key = nullptr;
  const ExportWeight* weight = nullptr;
};

// The used part of a limit.
struct Room {
  std::size_t exports = 0;
  std::size_t bytes = 0;

  bool take(std::size_t size, const ShareLimits& limits) {
    if (exports + 1 > limits.exports || bytes + size > limits.bytes) return false;
    ++exports;
    bytes += size;
    return true;
  }
};

}  // namespace

std::size_t record_bytes(const ExportRecord& record) {
  auto bytes = kFrame + record.service.ns.size() + record.service.name.size();
  for (const auto& port : record.ports) {
    bytes += 2 * kItem + port.name.size() + port.protocol.size() + port.app_protocol.size() +
             port.target_port.size();
  }
  for (const auto& ports : record.port_sets) {
    bytes += kItem;
    for (const auto& port : ports) {
      bytes += 2 * kItem + port.name.size() + port.protocol.size() + port.app_protocol.size();
    }
  }
  for (const auto& ip : record.cluster_ips) bytes += kItem + ip.size();
  for (const auto& family : record.ip_families) bytes += kItem + family.size();
  bytes += record.session_affinity.size() + record.internal_traffic_policy.size() +
           record.traffic_distribution.size();
  bytes += bytes_of(record.labels) + bytes_of(record.annotations);
  for (const auto& endpoint : record.endpoints) {
    bytes += kEndpoint + endpoint.hostname.size() + endpoint.zone.size() + endpoint.pod.size();
    for (const auto& address : endpoint.addresses) bytes += 2 + address.bytes().size();
  }
  return bytes;
}

std::set<ObjectKey> crowded_out(const ExportWeights& exports, const ShareLimits& limits) {
  std::map<std::string, std::vector<Candidate>> by_namespace;
  std::size_t bytes = 0;
  for (const auto& [key, weight] : exports) {
    by_namespace[key.ns].push_back({&key, &weight});
    bytes += weight.bytes;
  }
  if (exports.size() <= limits.exports && bytes <= limits.bytes) return {};
  const auto older = [](const Candidate& a, const Candidate& b) {
    return std::tie(a.weight->since, *a.key) < std::tie(b.weight->since, *b.key);
  };
  const ShareLimits share{std::max<std::size_t>(1, limits.exports / by_namespace.size()),
                          limits.bytes / by_namespace.size()};
  Room all;
  std::vector<Candidate> rest;
  for (auto& [ns, candidates] : by_namespace) {
    std::sort(candidates.begin(), candidates.end(), older);
    Room own;
    for (const auto& candidate : candidates) {
      const auto size = candidate.weight->bytes;
      auto after = own;
      if (after.take(size, share) && all.take(size, limits)) {
        own = after;
      } else {
        rest.push_back(candidate);
      }
    }
  }
  std::sort(rest.begin(), rest.end(), older);
  std::set<ObjectKey> out;
  for (const auto& candidate : rest) {
    if (!all.take(candidate.weight->bytes, limits)) out.insert(*candidate.key);
  }
  return out;
}

}  // namespace cw::api
