#include "discovery/mcs/derived.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace cw::discovery {

using api::Condition;
using api::ConditionStatus;
using api::EndpointSlice;
using api::Service;

namespace {

// FNV-1a: the same everywhere and for ever, unlike std::hash.
std::uint64_t fnv1a(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  return hash;
}

std::string family_of(const IpAddress& address) { return address.is_v4() ? "IPv4" : "IPv6"; }

std::map<std::string, std::string> labels_of(const api::ObjectKey& service) {
  return {{std::string(kManagedByLabel), std::string(kManagedBy)},
          {std::string(kServiceLabel), service.name}};
}

Service derived_service(const MergedService& merged, const std::set<std::string>& families) {
  Service out;
  out.meta.key = derived_key(merged.service);
  out.meta.labels = labels_of(merged.service);
  auto& spec = out.spec;
  for (const auto& port : merged.spec.ports) {
    spec.ports.push_back(port);
    spec.ports.back().target_port = std::to_string(port.port);  // what the API server would say
  }
  for (const auto& family : merged.spec.ip_families) {
    if (families.empty() || families.count(family) != 0) spec.ip_families.push_back(family);
  }
  // Two families are left to the API server: it knows how many it has.
  spec.ip_family_policy = spec.ip_families.size() > 1 ? "PreferDualStack" : "SingleStack";
  if (spec.ip_families.size() > 1) spec.ip_families.clear();
  spec.session_affinity = merged.spec.session_affinity;
  // The API server takes no timeout beside another affinity.
  if (spec.session_affinity == "ClientIP") {
    spec.session_affinity_timeout = merged.spec.session_affinity_timeout;
  }
  return out;
}

std::vector<api::SlicePort> slice_ports(const MergedService& merged,
                                        const api::ExportRecord& record) {
  std::vector<api::SlicePort> out;
  for (const auto& port : merged.spec.ports) {
    if (const auto number = endpoint_port(record, port)) {
      out.push_back({port.name, port.protocol, port.app_protocol, *number});
    }
  }
  return out;
}

void add_slices(const MergedService& merged, const api::ExportRecord& record, bool serving,
                std::map<api::ObjectKey, EndpointSlice>& out) {
  const auto derived = derived_key(merged.service);
  const auto ports = slice_ports(merged, record);
  for (const std::string family : {"IPv4", "IPv6"}) {
    EndpointSlice slice;
    unsigned part = 0;
    const auto finish = [&] {
      if (slice.endpoints.empty()) return;
      slice.meta.key = {derived.ns, fmt::format("{}-{}-{}-{}", derived.name, record.cluster,
                                                family == "IPv4" ? "4" : "6", part++)};
      slice.meta.labels = labels_of(merged.service);
      slice.meta.labels[std::string(kSourceLabel)] = record.cluster;
      // A headless service has names only; nothing balances it.
      if (!merged.headless()) slice.meta.labels[std::string(api::kServiceNameLabel)] = derived.name;
      slice.address_type = family;
      slice.ports = ports;
      out.emplace(slice.meta.key, std::move(slice));
      slice = {};
    };
    for (const auto& endpoint : record.endpoints) {
      api::SliceEndpoint one;
      for (const auto& address : endpoint.addresses) {
        if (family_of(address) == family) one.addresses.push_back(address);
      }
      if (one.addresses.empty()) continue;
      one.hostname = endpoint.hostname;
      one.zone = endpoint.zone;
      one.ready = endpoint.ready && serving;
      slice.endpoints.push_back(std::move(one));
      if (slice.endpoints.size() == kMaxSliceEndpoints) finish();
    }
    finish();
  }
}

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

Condition import_ready(const ClustersetService& service, const DesiredInputs& inputs,
                       const std::vector<std::string>& ips) {
  const auto& merged = *service.merged;
  Condition ready{"Ready", ConditionStatus::kTrue, "Ready", "its name resolves in this cluster", 0,
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
    ready.message = "its derived Service has no cluster IP yet";
  }
  if (!service.dropped.empty()) {
    ready.message += fmt::format("; left out, not reached for too long (staleDrop): {}",
                                 fmt::join(service.dropped, ", "));
  }
  return ready;
}

}  // namespace

api::ObjectKey derived_key(const api::ObjectKey& service) {
  return {service.ns, fmt::format("cw-{:016x}", fnv1a(service.name))};
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

std::set<std::string> serving_clusters(const ClustersetService& service, const std::string& local) {
  std::set<std::string> connected;
  std::set<std::string> able;
  for (const auto& record : service.merged->records) {
    if (service.stale.count(record->cluster) != 0) continue;
    connected.insert(record->cluster);
    if (std::any_of(record->endpoints.begin(), record->endpoints.end(),
                    [](const auto& endpoint) { return endpoint.ready; })) {
      able.insert(record->cluster);
    }
  }
  static const std::map<std::string, std::string> kNoWishes;
  const auto& policy = service.merged->policy;
  const auto& wishes = policy == nullptr ? kNoWishes : policy->annotations;
  std::vector<std::string> order;
  if (const auto at = wishes.find(std::string(kPrefer));
      at != wishes.end() && at->second == "local")
    order.push_back(local);
  if (const auto at = wishes.find(std::string(kFailover)); at != wishes.end()) {
    const auto more = split(at->second);
    order.insert(order.end(), more.begin(), more.end());
  }
  for (const auto& cluster : order) {
    if (able.count(cluster) != 0) return {cluster};
  }
  return connected;
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
  // The import says what counts here, not what a remote cluster wishes.
  if (merged.metadata != merged.policy) {
    std::erase_if(object.meta.annotations,
                  [](const auto& entry) { return entry.first.rfind(kPolicyPrefix, 0) == 0; });
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
  const auto serving = serving_clusters(service, inputs.cluster);
  for (const auto& record : merged.records)
    add_slices(merged, *record, serving.count(record->cluster) != 0, out.slices);
  return out;
}

Service overlaid(const Service& have, const Service& wanted) {
  auto next = have;
  for (const auto& [name, value] : wanted.meta.labels) next.meta.labels[name] = value;
  next.spec.type = wanted.spec.type;
  next.spec.selector.clear();
  const auto number = [](auto& port) {
    if (port.target_port.empty()) port.target_port = std::to_string(port.port);
  };
  auto ports = have.spec.ports;
  std::for_each(ports.begin(), ports.end(), number);
  if (ports != wanted.spec.ports) next.spec.ports = wanted.spec.ports;
  if (!(have.spec.session_affinity.empty() && wanted.spec.session_affinity == "None"))
    next.spec.session_affinity = wanted.spec.session_affinity;
  if (wanted.spec.session_affinity != "ClientIP") {
    next.spec.session_affinity_timeout.reset();
  } else if (wanted.spec.session_affinity_timeout) {
    next.spec.session_affinity_timeout = wanted.spec.session_affinity_timeout;
  }
  return next;  // addresses and families are for the life of the Service
}

bool satisfies(const Service& have, const Service& wanted) {
  return overlaid(have, wanted) == have;
}

}  // namespace cw::discovery
