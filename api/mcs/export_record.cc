#include "api/mcs/export_record.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <numeric>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

namespace cw::api {
namespace {

constexpr std::string_view kZone = ".svc.clusterset.local";
constexpr std::size_t kMaxName = 253;  // RFC 1035, as text without the final dot

ExportVerdict refused(const ServiceExport& service_export, std::string reason,
                      std::string message) {
  ExportVerdict verdict;
  verdict.valid = {"Valid",
                   ConditionStatus::kFalse,
                   std::move(reason),
                   std::move(message),
                   service_export.meta.generation,
                   {}};
  return verdict;
}

std::size_t metadata_bytes(const std::map<std::string, std::string>& entries) {
  std::size_t bytes = 0;
  for (const auto& [key, value] : entries) bytes += key.size() + value.size();
  return bytes;
}

// Counts the endpoints that are left out or changed.
struct LeftOut {
  std::size_t outside = 0;                 // endpoints outside the announced CIDRs
  std::optional<IpAddress> first_outside;  // the lowest address of these
  std::size_t too_many = 0;                // endpoints beyond the limit
  std::size_t renamed = 0;                 // hostnames replaced by the dashed IP

  void add_outside(const SliceEndpoint& endpoint) {
    ++outside;
    const auto lowest = *std::min_element(endpoint.addresses.begin(), endpoint.addresses.end());
    if (!first_outside || lowest < *first_outside) first_outside = lowest;
  }
};

// The condition Reachable for an export that lacks endpoints. No value: none are missing.
std::optional<Condition> lacking(const ExportInputs& inputs, const LeftOut& left_out,
                                 std::size_t exported) {
  Condition condition{
      "Reachable", ConditionStatus::kFalse, {}, {}, inputs.service_export.meta.generation, {}};
  const auto add = [&condition](std::string_view reason, const std::string& text) {
    if (condition.reason.empty()) condition.reason = reason;
    condition.message += (condition.message.empty() ? "" : "; ") + text;
  };
  const auto all = exported + left_out.outside + left_out.too_many;
  if (left_out.outside != 0) {
    add("OutsideCidrs",
        fmt::format("{} of {} endpoint(s) are not exported, because they are outside of the pod "
                    "prefixes that this cluster announces ({}): a pod with hostNetwork has its "
                    "node's address; run it without hostNetwork, or check the prefixes of its "
                    "Node (causewayctl status)",
                    left_out.outside, all, left_out.first_outside->to_string()));
  }
  if (left_out.too_many != 0) {
    add("TooManyEndpoints",
        fmt::format("{} of {} endpoint(s) are not exported: the limit of one export is {}",
                    left_out.too_many, all, kMaxExportEndpoints));
  }
  if (!inputs.unreadable_slice.empty()) {
    add("Unreadable", fmt::format("an EndpointSlice cannot be read, and its last readable version "
                                  "counts, if there was one: {}",
                                  inputs.unreadable_slice));
  }
  if (condition.reason.empty()) return std::nullopt;
  return condition;
}

// True: <hostname>.<cluster>.<service>.<namespace>.svc.clusterset.local is a DNS name.
bool usable_hostname(std::string_view hostname, const ExportRecord& record) {
  return is_dns_label(hostname) && hostname.size() + record.cluster.size() +
                                           record.service.name.size() + record.service.ns.size() +
                                           3 + kZone.size() <=
                                       kMaxName;
}

// Endpoints are the same if their addresses and ports are equal. One pod may be in several slices,
// each with a part of its ports.
using Found = std::map<std::pair<std::vector<IpAddress>, PortSet>, ExportEndpoint>;

// The ports of a slice in a fixed order. A port without a number is useless to a remote cluster.
PortSet port_set(const EndpointSlice& slice) {
  PortSet ports;
  std::copy_if(slice.ports.begin(), slice.ports.end(), std::back_inserter(ports),
               [](const SlicePort& port) { return port.port != 0; });
  std::sort(ports.begin(), ports.end());
  ports.erase(std::unique(ports.begin(), ports.end()), ports.end());
  return ports;
}

void name_endpoint(const SliceEndpoint& from, const ExportRecord& record, ExportEndpoint& endpoint,
                   LeftOut& left_out) {
  endpoint.hostname = from.hostname;
  if (!from.hostname.empty() && !usable_hostname(from.hostname, record)) {
    ++left_out.renamed;
    endpoint.hostname.clear();
  }
  if (!endpoint.hostname.empty()) return;
  endpoint.hostname = dashed_ip(endpoint.addresses.front());
  if (usable_hostname(from.pod, record) && from.pod != endpoint.hostname) endpoint.pod = from.pod;
}

// Slices may overlap while endpoints move between them. The result must not depend on their order:
// ready wins, then serving, then the smaller endpoint.
void merge_same(ExportEndpoint& known, const ExportEndpoint& other) {
  const auto rank = [](const ExportEndpoint& e) {
    return std::make_tuple(!e.ready, !e.serving, e.terminating, e.hostname, e.zone, e.pod);
  };
  if (rank(other) < rank(known)) known = other;
}

void collect(const SliceEndpoint& from, const PortSet& ports, const ExportInputs& inputs,
             const ExportRecord& record, Found& found, LeftOut& left_out) {
  ExportEndpoint endpoint;
  for (const auto& address : from.addresses) {
    if (inputs.cidrs.contains(address)) endpoint.addresses.push_back(address);
  }
  if (endpoint.addresses.empty()) {
    if (!from.addresses.empty()) left_out.add_outside(from);
    return;
  }
  std::sort(endpoint.addresses.begin(), endpoint.addresses.end());
  endpoint.addresses.erase(std::unique(endpoint.addresses.begin(), endpoint.addresses.end()),
                           endpoint.addresses.end());
  name_endpoint(from, record, endpoint, left_out);
  endpoint.zone = from.zone;
  endpoint.ready = from.is_ready();
  endpoint.serving = from.is_serving();
  endpoint.terminating = from.is_terminating();
  const auto [at, added] = found.try_emplace({endpoint.addresses, ports}, endpoint);
  if (!added) merge_same(at->second, endpoint);
}

// Sets the record's endpoints and port sets.
void add_endpoints(Found&& found, ExportRecord& record, LeftOut& left_out) {
  std::vector<std::pair<PortSet, ExportEndpoint>> kept;
  kept.reserve(found.size());
  for (auto& [key, endpoint] : found) kept.emplace_back(key.second, std::move(endpoint));
  if (kept.size() > kMaxExportEndpoints) {
    left_out.too_many = kept.size() - kMaxExportEndpoints;
    std::stable_sort(kept.begin(), kept.end(), [](const auto& a, const auto& b) {
      const auto rank = [](const ExportEndpoint& e) { return e.ready ? 0 : e.fallback() ? 1 : 2; };
      return rank(a.second) < rank(b.second);
    });
    kept.resize(kMaxExportEndpoints);
  }
  std::set<PortSet> sets;
  for (const auto& [ports, endpoint] : kept) sets.insert(ports);
  record.port_sets.assign(sets.begin(), sets.end());
  for (auto& [ports, endpoint] : kept) {
    const auto at = std::lower_bound(record.port_sets.begin(), record.port_sets.end(), ports);
    endpoint.ports = static_cast<std::uint32_t>(at - record.port_sets.begin());
    record.endpoints.push_back(std::move(endpoint));
  }
  std::sort(record.endpoints.begin(), record.endpoints.end());
}

ExportRecord record_of(const ExportInputs& inputs, LeftOut& left_out) {
  const auto& spec = inputs.service->spec;
  ExportRecord record;
  record.cluster = inputs.cluster;
  record.service = inputs.service_export.meta.key;
  record.exported_at = inputs.service_export.meta.created;
  record.headless = spec.headless();
  record.ports = spec.ports;
  if (!record.headless) record.cluster_ips = spec.cluster_ips;
  record.ip_families = spec.ip_families;
  record.session_affinity = spec.session_affinity.empty() ? "None" : spec.session_affinity;
  record.session_affinity_timeout = spec.session_affinity_timeout;
  record.internal_traffic_policy = spec.internal_traffic_policy;
  record.traffic_distribution = spec.traffic_distribution;
  record.labels = inputs.service_export.spec.exported_labels;
  record.annotations = inputs.service_export.spec.exported_annotations;
  Found found;
  for (const auto& slice : inputs.slices) {
    const auto ports = port_set(*slice);
    for (const auto& endpoint : slice->endpoints) {
      collect(endpoint, ports, inputs, record, found, left_out);
    }
  }
  add_endpoints(std::move(found), record, left_out);
  return record;
}

// The verdict if this cannot be an export at all. No value: it can, and then inputs.service is set.
std::optional<ExportVerdict> asked_wrongly(const ExportInputs& inputs) {
  const auto& wanted = inputs.service_export;
  const auto& key = wanted.meta.key;
  if (!is_dns_label(key.name) || !is_dns_label(key.ns) || !is_dns_label(inputs.cluster)) {
    return refused(wanted, "InvalidName",
                   "the name, namespace and cluster id of an export must be DNS labels");
  }
  if (!inputs.open) {
    return refused(wanted, "NamespaceNotOpen",
                   "namespace " + key.ns + " is not open for export: add it to exportNamespaces");
  }
  if (inputs.service == nullptr && !inputs.unreadable_service.empty()) {
    return refused(wanted, "UnreadableService",
                   fmt::format("the Service {} cannot be read: {}", key.to_string(),
                               inputs.unreadable_service));
  }
  if (inputs.service == nullptr) {
    return refused(wanted, "NoService", "there is no Service " + key.to_string());
  }
  if (inputs.service->spec.type == "ExternalName") {
    return refused(wanted, "InvalidServiceType", "a Service of type ExternalName has no endpoints");
  }
  return std::nullopt;
}

std::optional<ExportVerdict> too_large(const ServiceExport& wanted, std::size_t ports) {
  const auto& spec = wanted.spec;
  if (metadata_bytes(spec.exported_labels) + metadata_bytes(spec.exported_annotations) >
      kMaxExportMetadata) {
    return refused(wanted, "TooLarge", "more than 16 KiB of exported labels and annotations");
  }
  if (spec.exported_labels.size() > kMaxExportLabels ||
      spec.exported_annotations.size() > kMaxExportLabels) {
    return refused(wanted, "TooLarge", "more than 1024 exported labels or annotations");
  }
  if (ports > kMaxExportPorts) return refused(wanted, "TooLarge", "more than 256 ports");
  return std::nullopt;
}

std::optional<ExportVerdict> too_many_ports(const ServiceExport& wanted,
                                            const std::vector<PortSet>& sets) {
  const auto ports =
      std::accumulate(sets.begin(), sets.end(), std::size_t{0},
                      [](std::size_t sum, const PortSet& set) { return sum + set.size(); });
  if (sets.size() <= kMaxPortSets && ports <= kMaxTargetPorts) return std::nullopt;
  return refused(wanted, "TooLarge",
                 fmt::format("the endpoints listen on {} different sets of {} ports in all; {} "
                             "sets and {} ports are the limit",
                             sets.size(), ports, kMaxPortSets, kMaxTargetPorts));
}

}  // namespace

std::string dashed_ip(const IpAddress& address) {
  auto text = address.to_string();
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == '.' || c == ':'; }, '-');
  if (text.front() == '-') text.insert(text.begin(), '0');
  if (text.back() == '-') text.push_back('0');
  return text;
}

ExportVerdict judge_export(const ExportInputs& inputs) {
  const auto& wanted = inputs.service_export;
  if (auto wrong = asked_wrongly(inputs)) return std::move(*wrong);
  if (auto large = too_large(wanted, inputs.service->spec.ports.size())) return std::move(*large);
  LeftOut left_out;
  ExportVerdict verdict;
  verdict.record = record_of(inputs, left_out);
  if (auto large = too_many_ports(wanted, verdict.record->port_sets)) return std::move(*large);
  std::string message = "the Service is exported";
  if (left_out.renamed != 0) {
    message += fmt::format("; {} hostname(s) are not usable in DNS and were replaced by the IP",
                           left_out.renamed);
  }
  if (!inputs.unreadable_service.empty()) {
    message +=
        fmt::format("; its last readable version counts, because the newest cannot be read: {}",
                    inputs.unreadable_service);
  }
  verdict.lacking = lacking(inputs, left_out, verdict.record->endpoints.size());
  verdict.valid = {
      "Valid", ConditionStatus::kTrue, "Valid", std::move(message), wanted.meta.generation, {}};
  return verdict;
}

}  // namespace cw::api
