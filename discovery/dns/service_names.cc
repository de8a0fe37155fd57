// The DNS names of one service: items D2 to D9 of docs/protocol/dns.md.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <set>

#include "discovery/dns/table.h"

namespace cw::discovery::dns {

namespace {

void append16(std::vector<std::uint8_t>& out, std::uint16_t value) {
  out.push_back(static_cast<std::uint8_t>(value >> 8U));
  out.push_back(static_cast<std::uint8_t>(value));
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

class Writer {
 public:
  Writer(const TableService& entry, std::uint32_t ttl, std::string name)
      : service_(*entry.service),
        serving_(api::serving_of(service_.serving(entry.stale, entry.local), api::Access::kNames)),
        ips_(entry.ips.empty() ? service_.spec.ips : entry.ips),
        ttl_(ttl),
        name_(std::move(name)) {}

  Names write() {
    if (service_.headless()) {
      headless();
    } else {
      cluster_set_ip();
    }
    put_in_order();
    return std::move(names_);
  }

 private:
  // The name that an SRV record points to.
  struct Target {
    std::vector<std::uint8_t> name;
    const Node* node;
  };
  struct Entry {
    std::size_t order;
    Type type;
    std::vector<std::uint8_t> record;
    const Node* target;
  };

  // The node of `left`. Also creates its ancestors up to the service.
  Node& touch(const std::string& left) {
    const auto [at, added] = names_.try_emplace(left);
    if (added && !left.empty()) {
      const auto dot = left.find('.');
      (void)touch(dot == std::string::npos ? std::string() : left.substr(dot + 1));
    }
    return names_.find(left)->second;  // touch() may have rehashed
  }

  // Adds a record once, because slices of both families repeat hostnames.
  void add(const std::string& left, Type type, std::span<const std::uint8_t> rdata,
           const Node* target = nullptr) {
    std::string mark = left;
    mark += '/';
    mark.append(rdata.begin(), rdata.end());
    if (!seen_.insert(std::move(mark)).second) return;
    (void)touch(left);
    entries_[left].push_back({order_, type, record(type, ttl_, rdata), target});
  }
  // The records that follow belong to this endpoint. A set that does not fit is answered by a run
  // of endpoints. Their order is the same on every replica and mixes the clusters. A pod's
  // addresses of both families are one endpoint, although its hostname may be derived from the
  // address.
  void begin_endpoint(const api::ExportEndpoint& endpoint, const std::string& cluster) {
    const auto& pod = endpoint.pod.empty() ? endpoint.hostname : endpoint.pod;
    order_ = TextHash{}(lower(fmt::format("{}.{}", pod, cluster)));
  }
  // A unit is an endpoint. All types of a name number the units alike.
  void put_in_order() {
    for (auto& [left, entries] : entries_) {
      std::stable_sort(entries.begin(), entries.end(),
                       [](const Entry& a, const Entry& b) { return a.order < b.order; });
      auto& node = names_.find(left)->second;
      std::uint32_t unit = 0;
      for (std::size_t i = 0; i < entries.size(); ++i) {
        const auto& entry = entries[i];
        if (i > 0 && entry.order != entries[i - 1].order) ++unit;
        node[entry.type].add(entry.record, unit, entry.target);
      }
    }
  }
  void add_address(const std::string& left, const IpAddress& address) {
    add(left, address.is_v4() ? Type::kA : Type::kAaaa, address.bytes());
  }
  void add_srv(const std::string& left, std::uint16_t port, const Target& target) {
    std::vector<std::uint8_t> rdata;
    rdata.reserve(6 + target.name.size());
    append16(rdata, 0);   // priority
    append16(rdata, 50);  // weight: the specification leaves it open; all targets have the same
    append16(rdata, port);
    // RFC 2782: the target is never compressed.
    rdata.insert(rdata.end(), target.name.begin(), target.name.end());
    add(left, Type::kSrv, rdata, target.node);
  }
  // SRV at the service's name, and at the port's own name if it has one (D3, D6, D9).
  void add_port(const api::ServicePort& port, std::uint16_t number, const Target& target) {
    add_srv("", number, target);
    if (port.name.empty()) return;
    const auto left = lower(fmt::format("_{}._{}", port.name, port.protocol));
    if (wire_name(left + "." + name_)) add_srv(left, number, target);
  }

  // The pod's own name (D5). It does not depend on which clusters take new connections: a client
  // that names a pod wants that pod. It also stays while the pod's cluster is away. Caches keep a
  // denial, and clients take it for permanent. A failed connection is tried again
  // (docs/protocol/dns.md).
  void pod_names(const api::ExportRecord& record, const api::ExportEndpoint& endpoint) {
    const auto at = [&](const std::string& label) {
      const auto left = lower(fmt::format("{}.{}", label, record.cluster));
      if (!wire_name(left + "." + name_)) return;
      for (const auto& address : endpoint.addresses) add_address(left, address);
    };
    at(endpoint.hostname);
    // A pod's hostname has priority over another pod's name.
    if (!endpoint.pod.empty() && hostnames_.count(endpoint.pod) == 0) at(endpoint.pod);
  }

  // D4 to D6. Without an endpoint that takes connections the name does not exist.
  void headless() {
    for (const auto& record : service_.records) {
      const auto numbers = endpoint_ports(service_, *record);
      hostnames_.clear();
      for (const auto& endpoint : record->endpoints) hostnames_.insert(endpoint.hostname);
      const bool live = serving_.clusters.count(record->cluster) != 0;
      for (const auto& endpoint : record->endpoints) {
        if (!serving_.takes(record->cluster, endpoint)) continue;
        begin_endpoint(endpoint, record->cluster);
        pod_names(*record, endpoint);
        if (live) members(*record, endpoint, numbers.at(endpoint.ports));
      }
    }
  }

  // Adds one endpoint to the service's own name.
  void members(const api::ExportRecord& record, const api::ExportEndpoint& endpoint,
               const PortNumbers& numbers) {
    const auto left = lower(fmt::format("{}.{}", endpoint.hostname, record.cluster));
    const auto name = wire_name(left + "." + name_);
    if (!name) return;
    const Target target{*name, &touch(left)};
    for (const auto& address : endpoint.addresses) add_address("", address);
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      if (numbers[i]) add_port(service_.spec.ports[i], *numbers[i], target);
    }
  }

  // D2, D3. If no virtual IP is balanced, the name has the ready endpoints' own addresses, which
  // clients reach on the endpoints' own ports.
  void cluster_set_ip() {
    const Target target{*wire_name(name_), &touch("")};
    const auto ips = api::addresses_of(ips_);
    const std::set<IpAddress> addresses(ips.begin(), ips.end());
    if (!addresses.empty()) {
      for (const auto& address : addresses) add_address("", address);
      for (const auto& port : service_.spec.ports) add_port(port, port.port, target);
      return;
    }
    const auto& ports = service_.spec.ports;
    PortNumbers numbers(ports.size());  // of the oldest export
    for (const auto& record : service_.records) {
      if (serving_.clusters.count(record->cluster) == 0) continue;
      const auto of_set = endpoint_ports(service_, *record);
      for (const auto& endpoint : record->endpoints) {
        if (!serving_.takes(record->cluster, endpoint)) continue;
        const auto& own = of_set.at(endpoint.ports);
        bool exposed = ports.empty();
        for (std::size_t i = 0; i < own.size(); ++i) {
          if (!own[i]) continue;
          exposed = true;
          if (!numbers[i]) numbers[i] = own[i];
        }
        if (!exposed) continue;  // it listens on no port of the service
        begin_endpoint(endpoint, record->cluster);
        for (const auto& address : endpoint.addresses) add_address("", address);
      }
    }
    order_ = 0;
    for (std::size_t i = 0; i < ports.size(); ++i) {
      add_port(ports[i], numbers[i].value_or(ports[i].port), target);
    }
  }

  const MergedService& service_;
  api::Serving serving_;             // decides about the service's own name
  std::set<std::string> hostnames_;  // of the current record
  std::vector<std::string> ips_;
  std::uint32_t ttl_;
  std::string name_;
  Names names_;
  std::size_t order_ = 0;                                        // of the current endpoint
  std::unordered_map<std::string, std::vector<Entry>> entries_;  // by name, until all are known
  std::unordered_set<std::string> seen_;
};

}  // namespace

std::shared_ptr<const Names> names_of(const TableService& entry, std::uint32_t ttl) {
  const auto& key = entry.service->service;
  auto name = lower(fmt::format("{}.{}.svc.{}", key.name, key.ns, kZone));
  if (!wire_name(name)) return std::make_shared<Names>();
  return std::make_shared<Names>(Writer(entry, ttl, std::move(name)).write());
}

}  // namespace cw::discovery::dns
