#include "api/mcs/export_record.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

namespace cw::api {
namespace {

constexpr std::string_view kZone = ".svc.clusterset.local";
constexpr std::size_t kMaxName = 253;  // RFC 1035, presentation form without the last dot

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

// The port numbers that the endpoints listen on, by protocol and port name. Slices may disagree
// while pods with a new number of a named port roll out.
class TargetPorts {
 public:
  explicit TargetPorts(std::span<const std::shared_ptr<const EndpointSlice>> slices) {
    std::map<Name, std::map<SlicePort, std::size_t>> votes;
    for (const auto& slice : slices) {
      for (const auto& port : slice->ports) {
        votes[name_of(port)][port] += slice->endpoints.size();
      }
    }
    for (const auto& [name, candidates] : votes) {
      // Most endpoints; among equals the first, which is the lowest.
      const auto best =
          std::max_element(candidates.begin(), candidates.end(),
                           [](const auto& a, const auto& b) { return a.second < b.second; });
      chosen_.emplace(name, best->first);
    }
  }

  // Whether all ports of `slice` have the chosen numbers.
  [[nodiscard]] bool agree(const EndpointSlice& slice) const {
    return std::all_of(slice.ports.begin(), slice.ports.end(), [this](const SlicePort& port) {
      return chosen_.at(name_of(port)).port == port.port;
    });
  }
  [[nodiscard]] std::vector<SlicePort> list() const {
    std::vector<SlicePort> ports;
    for (const auto& [name, port] : chosen_) ports.push_back(port);
    std::sort(ports.begin(), ports.end());
    return ports;
  }

 private:
  using Name = std::pair<std::string, std::string>;
  static Name name_of(const SlicePort& port) { return {port.protocol, port.name}; }
  std::map<Name, SlicePort> chosen_;
};

struct LeftOut {
  std::size_t outside = 0;   // endpoints not within the announced CIDRs
  std::size_t other = 0;     // endpoints that listen on other port numbers
  std::size_t too_many = 0;  // endpoints over the limit
  std::size_t renamed = 0;   // hostnames replaced by the dashed IP

  [[nodiscard]] std::string text() const {
    std::string text;
    const auto add = [&text](std::size_t count, std::string_view what) {
      if (count == 0) return;
      text += "; " + std::to_string(count) + std::string(what);
    };
    add(outside, " endpoint(s) outside the cluster's announced CIDRs left out");
    add(other, " endpoint(s) with other port numbers left out");
    add(too_many, " endpoint(s) over the limit left out");
    add(renamed, " hostname(s) not usable in DNS replaced by the IP");
    return text;
  }
};

// Whether <hostname>.<cluster>.<service>.<namespace>.svc.clusterset.local is a DNS name.
bool usable_hostname(std::string_view hostname, const ExportRecord& record) {
  return is_dns_label(hostname) && hostname.size() + record.cluster.size() +
                                           record.service.name.size() + record.service.ns.size() +
                                           3 + kZone.size() <=
                                       kMaxName;
}

using ByAddress = std::map<std::vector<IpAddress>, ExportEndpoint>;

void collect(const SliceEndpoint& from, const ExportInputs& inputs, const ExportRecord& record,
             ByAddress& found, LeftOut& left_out) {
  ExportEndpoint endpoint;
  for (const auto& address : from.addresses) {
    if (inputs.cidrs.contains(address)) endpoint.addresses.push_back(address);
  }
  if (endpoint.addresses.empty()) {
    if (!from.addresses.empty()) ++left_out.outside;
    return;
  }
  std::sort(endpoint.addresses.begin(), endpoint.addresses.end());
  endpoint.addresses.erase(std::unique(endpoint.addresses.begin(), endpoint.addresses.end()),
                           endpoint.addresses.end());
  endpoint.hostname = from.hostname;
  if (!from.hostname.empty() && !usable_hostname(from.hostname, record)) {
    ++left_out.renamed;
    endpoint.hostname.clear();
  }
  if (endpoint.hostname.empty()) endpoint.hostname = dashed_ip(endpoint.addresses.front());
  endpoint.zone = from.zone;
  endpoint.ready = from.is_ready();
  const auto [at, added] = found.try_emplace(endpoint.addresses, endpoint);
  // Twice the same endpoint: slices may overlap while endpoints move between them. Which one came
  // first must not matter: ready wins, then the smaller one.
  if (!added) {
    const auto rank = [](const ExportEndpoint& e) { return std::tie(e.hostname, e.zone); };
    const bool ready = at->second.ready || endpoint.ready;
    if (endpoint.ready != at->second.ready ? endpoint.ready : rank(endpoint) < rank(at->second)) {
      at->second = endpoint;
    }
    at->second.ready = ready;
  }
}

std::vector<ExportEndpoint> limited(ByAddress&& found, LeftOut& left_out) {
  std::vector<ExportEndpoint> endpoints;
  endpoints.reserve(found.size());
  for (auto& [addresses, endpoint] : found) endpoints.push_back(std::move(endpoint));
  if (endpoints.size() > kMaxExportEndpoints) {
    left_out.too_many = endpoints.size() - kMaxExportEndpoints;
    std::stable_partition(endpoints.begin(), endpoints.end(),
                          [](const ExportEndpoint& endpoint) { return endpoint.ready; });
    endpoints.resize(kMaxExportEndpoints);
  }
  std::sort(endpoints.begin(), endpoints.end());
  return endpoints;
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
  const TargetPorts targets(inputs.slices);
  record.target_ports = targets.list();
  ByAddress found;
  for (const auto& slice : inputs.slices) {
    if (!targets.agree(*slice)) {
      left_out.other += slice->endpoints.size();
      continue;
    }
    for (const auto& endpoint : slice->endpoints) {
      collect(endpoint, inputs, record, found, left_out);
    }
  }
  record.endpoints = limited(std::move(found), left_out);
  return record;
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
  const auto& key = wanted.meta.key;
  if (!is_dns_label(key.name) || !is_dns_label(key.ns) || !is_dns_label(inputs.cluster)) {
    return refused(wanted, "InvalidName",
                   "the name, namespace and cluster id of an export must be DNS labels");
  }
  if (!inputs.open) {
    return refused(wanted, "NamespaceNotOpen",
                   "namespace " + key.ns + " is not among those opened for export");
  }
  if (inputs.service == nullptr) {
    return refused(wanted, "NoService", "there is no Service " + key.to_string());
  }
  const auto& spec = inputs.service->spec;
  if (spec.type == "ExternalName") {
    return refused(wanted, "InvalidServiceType", "a Service of type ExternalName has no endpoints");
  }
  if (metadata_bytes(wanted.spec.exported_labels) +
          metadata_bytes(wanted.spec.exported_annotations) >
      kMaxExportMetadata) {
    return refused(wanted, "TooLarge", "more than 16 KiB of exported labels and annotations");
  }
  if (wanted.spec.exported_labels.size() > kMaxExportLabels ||
      wanted.spec.exported_annotations.size() > kMaxExportLabels) {
    return refused(wanted, "TooLarge", "more than 1024 exported labels or annotations");
  }
  if (spec.ports.size() > kMaxExportPorts) {
    return refused(wanted, "TooLarge", "more than 256 ports");
  }
  LeftOut left_out;
  ExportVerdict verdict;
  verdict.record = record_of(inputs, left_out);
  if (verdict.record->target_ports.size() > kMaxExportPorts) {
    return refused(wanted, "TooLarge", "more than 256 target ports");
  }
  verdict.valid = {"Valid",
                   ConditionStatus::kTrue,
                   "Valid",
                   "the Service is exported" + left_out.text(),
                   wanted.meta.generation,
                   {}};
  return verdict;
}

}  // namespace cw::api
