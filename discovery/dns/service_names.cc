// What one service has in DNS: items D2 to D9.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>

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

// The exporters whose endpoints are given out: those that are not away; all, if all are.
std::vector<RecordPtr> live_records(const TableService& entry) {
  std::vector<RecordPtr> live;
  for (const auto& record : entry.service->records) {
    if (entry.stale.count(record->cluster) == 0) live.push_back(record);
  }
  return live.empty() ? entry.service->records : live;
}

class Writer {
 public:
  Writer(const TableService& entry, std::uint32_t ttl, std::string name)
      : service_(*entry.service),
        live_(live_records(entry)),
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
  // Where an SRV record leads.
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

  // `left` and its ancestors up to the service.
  Node& touch(const std::string& left) {
    const auto [at, added] = names_.try_emplace(left);
    if (added && !left.empty()) {
      const auto dot = left.find('.');
      (void)touch(dot == std::string::npos ? std::string() : left.substr(dot + 1));
    }
    return names_.find(left)->second;  // touch() may have rehashed
  }

  // Once, however often it is said: slices of two families repeat hostnames.
  void add(const std::string& left, Type type, std::span<const std::uint8_t> rdata,
           const Node* target = nullptr) {
    std::string mark = left;
    mark += '/';
    mark.append(rdata.begin(), rdata.end());
    if (!seen_.insert(std::move(mark)).second) return;
    (void)touch(left);
    entries_[left].push_back({order_, type, record(type, ttl_, rdata), target});
  }
  // Records that follow are of this endpoint, <hostname>.<cluster>. A set that does not fit goes
  // out as a run of endpoints. They have an order that every replica computes, and that mixes the
  // clusters.
  void begin_endpoint(const std::string& left) { order_ = TextHash{}(left); }
  // Units are endpoints: the same for all types of a name.
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
    append16(rdata, 50);  // weight
    append16(rdata, port);
    // RFC 2782: never compressed.
    rdata.insert(rdata.end(), target.name.begin(), target.name.end());
    add(left, Type::kSrv, rdata, target.node);
  }
  // The bare name, and the port's own if it has one (D3, D6, D9).
  void add_port(const api::ServicePort& port, std::uint16_t number, const Target& target) {
    add_srv("", number, target);
    if (port.name.empty()) return;
    const auto left = lower(fmt::format("_{}._{}", port.name, port.protocol));
    if (wire_name(left + "." + name_)) add_srv(left, number, target);
  }

  // D4-D6: without a ready endpoint the name does not exist.
  void headless() {
    for (const auto& record : live_) {
      std::vector<std::pair<const api::ServicePort*, std::uint16_t>> exposed;
      for (const auto& port : service_.spec.ports) {
        if (const auto number = endpoint_port(*record, port)) exposed.emplace_back(&port, *number);
      }
      for (const auto& endpoint : record->endpoints) {
        if (!endpoint.ready) continue;
        const auto left = lower(fmt::format("{}.{}", endpoint.hostname, record->cluster));
        const auto name = wire_name(left + "." + name_);
        if (!name) continue;
        begin_endpoint(left);
        const Target target{*name, &touch(left)};
        for (const auto& address : endpoint.addresses) {
          add_address("", address);
          add_address(left, address);
        }
        for (const auto& [port, number] : exposed) add_port(*port, number, target);
      }
    }
  }

  // D2, D3. Where nothing balances a virtual IP, the name answers with the ready endpoints
  // themselves, which are reached on their own ports.
  void cluster_set_ip() {
    const Target target{*wire_name(name_), &touch("")};
    std::set<IpAddress> addresses;
    for (const auto& ip : ips_) {
      if (const auto address = IpAddress::parse(ip)) addresses.insert(*address);
    }
    const bool balanced = !addresses.empty();
    for (const auto& address : addresses) add_address("", address);
    for (const auto& record : live_) {
      if (balanced) break;
      for (const auto& endpoint : record->endpoints) {
        if (!endpoint.ready) continue;
        begin_endpoint(lower(fmt::format("{}.{}", endpoint.hostname, record->cluster)));
        for (const auto& address : endpoint.addresses) add_address("", address);
      }
    }
    order_ = 0;
    for (const auto& port : service_.spec.ports) {
      auto number = port.port;
      for (const auto& record : live_) {
        if (balanced) break;
        if (const auto own = endpoint_port(*record, port)) {
          number = *own;
          break;
        }
      }
      add_port(port, number, target);
    }
  }

  const MergedService& service_;
  std::vector<RecordPtr> live_;
  std::vector<std::string> ips_;
  std::uint32_t ttl_;
  std::string name_;
  Names names_;
  std::size_t order_ = 0;                                        // of the endpoint that is written
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
