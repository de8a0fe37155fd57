#include "discovery/mcs/derived.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

namespace cw::discovery {

using api::Condition;
using api::ConditionStatus;
using api::EndpointSlice;
using api::Service;

namespace {

// FNV-1a. Unlike std::hash it is the same everywhere and for ever.
std::uint64_t fnv1a(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  return hash;
}

std::string family_of(const IpAddress& address) { return address.is_v4() ? "IPv4" : "IPv6"; }

std::map<std::string, std::string> labels_of(const api::ObjectKey& service) {
  return {{std::string(kManagedByLabel), std::string(kManagedBy)},
          {std::string(api::kImportedServiceLabel), service.name}};
}

Service derived_service(const MergedService& merged, const std::set<std::string>& families) {
  Service out;
  out.meta.key = derived_key(merged.service);
  out.meta.labels = labels_of(merged.service);
  auto& spec = out.spec;
  for (const auto& port : merged.spec.ports) {
    spec.ports.push_back(port);
    spec.ports.back().target_port = std::to_string(port.port);  // the default of the API server
  }
  for (const auto& family : merged.spec.ip_families) {
    if (families.empty() || families.count(family) != 0) spec.ip_families.push_back(family);
  }
  // With two families the API server chooses: it knows how many the cluster has.
  spec.ip_family_policy = spec.ip_families.size() > 1 ? "PreferDualStack" : "SingleStack";
  if (spec.ip_families.size() > 1) spec.ip_families.clear();
  spec.session_affinity = merged.spec.session_affinity;
  // The API server refuses a timeout with another affinity.
  if (spec.session_affinity == "ClientIP") {
    spec.session_affinity_timeout = merged.spec.session_affinity_timeout;
  }
  return out;
}

std::vector<api::SlicePort> slice_ports(const MergedService& merged, const PortNumbers& numbers) {
  std::vector<api::SlicePort> out;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const auto& port = merged.spec.ports[i];
    if (numbers[i]) out.push_back({port.name, port.protocol, port.app_protocol, *numbers[i]});
  }
  return out;
}

api::SliceEndpoint slice_endpoint(const api::ExportEndpoint& from, const std::string& family,
                                  bool serving) {
  api::SliceEndpoint one;
  for (const auto& address : from.addresses) {
    if (family_of(address) == family) one.addresses.push_back(address);
  }
  one.hostname = from.hostname;
  one.zone = from.zone;
  // kube-proxy uses the ready endpoints, or without any those that terminate and still serve.
  one.ready = from.ready && serving;
  one.serving = from.serving && serving;
  one.terminating = from.terminating;
  return one;
}

// The slices of one cluster. Each has one family and one list of ports. A slice's name is derived
// from its ports, so pods with other ports do not move an endpoint to another slice.
class SlicesOf {
 public:
  using Slices = std::map<api::ObjectKey, EndpointSlice>;
  SlicesOf(const MergedService& merged, const api::ExportRecord& record, bool serving, Slices& out)
      : merged_(merged), record_(record), serving_(serving), out_(out) {
    std::vector<std::vector<api::SlicePort>> of_set;
    for (const auto& numbers : endpoint_ports(merged, record)) {
      of_set.push_back(slice_ports(merged, numbers));
    }
    for (const auto& endpoint : record.endpoints) {
      const auto& ports = of_set.at(endpoint.ports);
      // An endpoint that listens on none of the service's ports is left out.
      if (!ports.empty() || merged.spec.ports.empty()) by_ports_[ports].push_back(&endpoint);
    }
  }

  void add(const std::string& family) {
    for (const auto& [ports, endpoints] : by_ports_) {
      std::vector<api::SliceEndpoint> some;
      for (const auto* endpoint : endpoints) {
        auto one = slice_endpoint(*endpoint, family, serving_);
        if (one.addresses.empty()) continue;
        some.push_back(std::move(one));
        if (some.size() == kMaxSliceEndpoints) finish(family, ports, std::exchange(some, {}));
      }
      if (!some.empty()) finish(family, ports, std::move(some));
    }
  }

 private:
  void finish(const std::string& family, const std::vector<api::SlicePort>& ports,
              std::vector<api::SliceEndpoint> endpoints) {
    EndpointSlice slice;
    unsigned part = 0;
    do {
      slice.meta.key = slice_key(merged_.service, record_.cluster, family, ports, part++);
    } while (out_.count(slice.meta.key) != 0);
    slice.meta.labels = labels_of(merged_.service);
    slice.meta.labels[std::string(api::kSourceClusterLabel)] = record_.cluster;
    // A headless service has only names; no proxy balances it.
    if (!merged_.headless()) {
      slice.meta.labels[std::string(api::kServiceNameLabel)] = derived_key(merged_.service).name;
    }
    slice.address_type = family;
    slice.ports = ports;
    slice.endpoints = std::move(endpoints);
    auto key = slice.meta.key;
    out_.emplace(std::move(key), std::move(slice));
  }

  const MergedService& merged_;
  const api::ExportRecord& record_;
  bool serving_;
  Slices& out_;
  std::map<std::vector<api::SlicePort>, std::vector<const api::ExportEndpoint*>> by_ports_;
};

Condition import_ready(const ClustersetService& service, const DesiredInputs& inputs,
                       const std::vector<std::string>& ips) {
  const auto& merged = *service.merged;
  Condition ready{"Ready", ConditionStatus::kTrue, "Ready", "the name resolves in this cluster", 0,
                  {}};
  const auto& families = merged.spec.ip_families;
  const bool usable = families.empty() || inputs.families.empty() ||
                      std::any_of(families.begin(), families.end(), [&](const auto& family) {
                        return inputs.families.count(family) != 0;
                      });
  if (!usable) {
    ready.status = ConditionStatus::kFalse;
    ready.reason = "IPFamilyNotSupported";
    ready.message = "the pods of this cluster have none of the service's IP families";
  } else if (inputs.derive && !merged.headless() && ips.empty()) {
    ready.status = ConditionStatus::kFalse;
    ready.reason = "Pending";
    ready.message = "the derived Service has no cluster IP yet";
  }
  if (!service.dropped.empty()) {
    ready.message +=
        fmt::format("; left out, because they were not reached for longer than staleDrop: {}",
                    fmt::join(service.dropped, ", "));
  }
  return ready;
}

}  // namespace

api::ObjectKey derived_key(const api::ObjectKey& service) {
  return {service.ns, fmt::format("cw-{:016x}", fnv1a(service.name))};
}

api::ObjectKey slice_key(const api::ObjectKey& service, const std::string& cluster,
                         std::string_view family, const std::vector<api::SlicePort>& ports,
                         unsigned part) {
  std::string text;
  for (const auto& port : ports) {
    text += fmt::format("{}/{}/{}/{};", port.name, port.protocol, port.app_protocol, port.port);
  }
  const auto derived = derived_key(service);
  return {derived.ns,
          fmt::format("{}-{}-{}-{:08x}-{}", derived.name, cluster, family == "IPv4" ? '4' : '6',
                      static_cast<std::uint32_t>(fnv1a(text)), part)};
}

bool ours(const api::ObjectMeta& meta) {
  const auto at = meta.labels.find(std::string(kManagedByLabel));
  return at != meta.labels.end() && at->second == kManagedBy;
}

std::vector<std::string> virtual_ips(const Items<Service>& services,
                                     const api::ObjectKey& service) {
  const auto at = services.find(derived_key(service));
  if (at == services.end() || !ours(at->second->meta) || at->second->spec.headless()) return {};
  return at->second->spec.cluster_ips;
}

std::set<std::string> families_of(const std::vector<Prefix>& prefixes) {
  std::set<std::string> out;
  for (const auto& prefix : prefixes) out.insert(family_of(prefix.address()));
  return out;
}

DesiredService desired_service(const DesiredInputs& inputs, const api::ObjectKey& key,
                               const ClustersetService& service) {
  DesiredService out;
  if (inputs.namespaces.count({"", key.ns}) == 0) return out;
  const auto& merged = *service.merged;
  auto& object = out.import.emplace();
  object.meta.key = key;
  object.meta.labels = merged.metadata->labels;
  object.meta.annotations = merged.metadata->annotations;
  // The import shows the policy that is used here, not the one that a remote cluster asks for.
  if (merged.metadata != merged.policy) {
    std::erase_if(object.meta.annotations,
                  [](const auto& entry) { return entry.first.rfind(api::kPolicyPrefix, 0) == 0; });
    if (merged.policy != nullptr) {
      for (const auto& entry : merged.policy->annotations) {
        if (entry.first.rfind(api::kPolicyPrefix, 0) == 0) object.meta.annotations.insert(entry);
      }
    }
  }
  object.spec = merged.spec;
  object.status.clusters = merged.clusters();
  object.status.endpoint_slice_objects = inputs.derive ? "Present" : "Absent";
  if (inputs.derive && !merged.headless()) {
    object.spec.ips = virtual_ips(inputs.services, key);
    if (!object.spec.ips.empty()) {  // families in the order of the addresses
      object.spec.ip_families.clear();
      for (const auto& ip : object.spec.ips)
        object.spec.ip_families.emplace_back(ip.find(':') == std::string::npos ? "IPv4" : "IPv6");
    }
  }
  object.status.conditions = {import_ready(service, inputs, object.spec.ips)};
  const bool usable = object.status.conditions.front().reason != "IPFamilyNotSupported";
  if (!inputs.derive || !usable) return out;
  if (!merged.headless()) out.service = derived_service(merged, inputs.families);
  const auto serving =
      api::serving_of(merged.serving(service.stale, inputs.cluster), api::Access::kVirtualIp);
  for (const auto& record : merged.records) {
    SlicesOf slices(merged, *record, serving.clusters.count(record->cluster) != 0, out.slices);
    for (const auto* family : {"IPv4", "IPv6"}) slices.add(family);
  }
  return out;
}

Service overlaid(const Service& have, const Service& desired) {
  auto next = have;
  for (const auto& [name, value] : desired.meta.labels) next.meta.labels[name] = value;
  next.spec.type = desired.spec.type;
  next.spec.selector.clear();
  const auto number = [](auto& port) {
    if (port.target_port.empty()) port.target_port = std::to_string(port.port);
  };
  auto ports = have.spec.ports;
  std::for_each(ports.begin(), ports.end(), number);
  if (ports != desired.spec.ports) next.spec.ports = desired.spec.ports;
  if (!(have.spec.session_affinity.empty() && desired.spec.session_affinity == "None"))
    next.spec.session_affinity = desired.spec.session_affinity;
  if (desired.spec.session_affinity != "ClientIP") {
    next.spec.session_affinity_timeout.reset();
  } else if (desired.spec.session_affinity_timeout) {
    next.spec.session_affinity_timeout = desired.spec.session_affinity_timeout;
  }
  return next;  // addresses and families never change in a Service's life
}

}  // namespace cw::discovery
