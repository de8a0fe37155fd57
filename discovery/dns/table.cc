#include "discovery/dns/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace cw::discovery::dns {

namespace {

constexpr std::string_view kSpecVersion = "1.0.0";

void append16(std::vector<std::uint8_t>& out, std::uint16_t value) {
  out.push_back(static_cast<std::uint8_t>(value >> 8U));
  out.push_back(static_cast<std::uint8_t>(value));
}
void append32(std::vector<std::uint8_t>& out, std::uint32_t value) {
  append16(out, static_cast<std::uint16_t>(value >> 16U));
  append16(out, static_cast<std::uint16_t>(value));
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

std::vector<std::uint8_t> soa_rdata(std::uint32_t serial, std::uint32_t minimum) {
  auto out = *wire_name(fmt::format("ns.dns.{}", kZone));
  const auto mail = *wire_name(fmt::format("hostmaster.{}", kZone));
  out.insert(out.end(), mail.begin(), mail.end());
  for (const auto value : {serial, 7200U, 1800U, 86400U, minimum}) append32(out, value);
  return out;
}

bool in_zone(const std::string& name) {
  return name == kZone || (name.size() > kZone.size() && name.ends_with(kZone) &&
                           name[name.size() - kZone.size() - 1] == '.');
}

// The exporters whose endpoints are given out: those that are not away; all, if all are.
std::vector<RecordPtr> live_records(const TableService& entry) {
  std::vector<RecordPtr> live;
  for (const auto& record : entry.service->records) {
    if (entry.stale.count(record->cluster) == 0) live.push_back(record);
  }
  return live.empty() ? entry.service->records : live;
}

// The number an endpoint listens on for the service port called `name`.
std::uint16_t endpoint_port(const api::ExportRecord& record, const api::ServicePort& port) {
  for (const auto& target : record.target_ports) {
    if (target.name == port.name) return target.port;
  }
  return port.port;
}

}  // namespace

Table::Table(const TableConfig& config, const std::vector<TableService>& services,
             std::uint32_t serial)
    : ready_(true) {
  const std::string zone(kZone);
  const auto soa = soa_rdata(serial, config.negative_ttl);
  add(zone, Type::kSoa, record(Type::kSoa, std::min(config.ttl, 300U), soa));
  negative_soa_ =
      record_of(*wire_name(zone), Type::kSoa, std::min(config.ttl, config.negative_ttl), soa);
  const auto server = "ns.dns." + zone;
  add(zone, Type::kNs, record(Type::kNs, config.ttl, *wire_name(server)));
  touch(server);
  for (const auto& address : config.servers) add_address(server, address, config.ttl);
  std::vector<std::uint8_t> version{static_cast<std::uint8_t>(kSpecVersion.size())};
  version.insert(version.end(), kSpecVersion.begin(), kSpecVersion.end());
  add("dns-version." + zone, Type::kTxt, record(Type::kTxt, 28800, version));
  touch("svc." + zone);
  for (const auto& entry : services) add_service(entry, config);
}

Table::Node& Table::touch(const std::string& name) {
  auto [at, added] = names_.try_emplace(name);
  if (added && name.size() > kZone.size()) touch(name.substr(name.find('.') + 1));
  return names_.find(name)->second;  // touch() may have rehashed
}

void Table::add(const std::string& name, Type type, std::vector<std::uint8_t> one) {
  auto& records = touch(name)[type].records;
  if (std::find(records.begin(), records.end(), one) == records.end())
    records.push_back(std::move(one));
}

void Table::add_address(const std::string& name, const IpAddress& address, std::uint32_t ttl) {
  const auto type = address.is_v4() ? Type::kA : Type::kAaaa;
  // No search for duplicates: endpoints are unique, and there may be thousands.
  touch(name)[type].records.push_back(record(type, ttl, address.bytes()));
}

void Table::add_srv(const std::string& name, std::uint16_t port, const std::string& target,
                    std::uint32_t ttl) {
  std::vector<std::uint8_t> rdata;
  append16(rdata, 0);   // priority
  append16(rdata, 50);  // weight
  append16(rdata, port);
  const auto wire = wire_name(target);
  if (!wire) return;
  rdata.insert(rdata.end(), wire->begin(), wire->end());  // RFC 2782: never compressed
  add(name, Type::kSrv, record(Type::kSrv, ttl, rdata));
}

void Table::add_service(const TableService& entry, const TableConfig& config) {
  const auto& service = *entry.service;
  const auto name =
      lower(fmt::format("{}.{}.svc.{}", service.service.name, service.service.ns, kZone));
  if (!wire_name(name)) return;
  const auto live = live_records(entry);
  if (service.headless()) {
    add_headless(service, live, name, config.ttl);
  } else {
    add_cluster_set_ip(service, live, name, config.ttl);
  }
}

// D4-D6: without a ready endpoint the name does not exist.
void Table::add_headless(const MergedService& service, const std::vector<RecordPtr>& live,
                         const std::string& name, std::uint32_t ttl) {
  for (const auto& record : live) {
    for (const auto& endpoint : record->endpoints) {
      if (!endpoint.ready) continue;
      const auto pod = lower(fmt::format("{}.{}.{}", endpoint.hostname, record->cluster, name));
      if (!wire_name(pod)) continue;
      for (const auto& address : endpoint.addresses) {
        add_address(name, address, ttl);
        add_address(pod, address, ttl);
      }
      for (const auto& port : service.spec.ports) {
        const bool exposed = std::any_of(record->ports.begin(), record->ports.end(),
                                         [&](const auto& p) { return p.name == port.name; });
        if (!exposed) continue;
        const auto number = endpoint_port(*record, port);
        add_srv(name, number, pod, ttl);
        if (port.name.empty()) continue;
        add_srv(lower(fmt::format("_{}._{}.{}", port.name, port.protocol, name)), number, pod, ttl);
      }
    }
  }
}

// D2, D3. Where nothing balances a virtual IP, the name answers with the ready endpoints
// themselves.
void Table::add_cluster_set_ip(const MergedService& service, const std::vector<RecordPtr>& live,
                               const std::string& name, std::uint32_t ttl) {
  touch(name);
  std::set<IpAddress> addresses;
  for (const auto& ip : service.spec.ips) {
    if (const auto address = IpAddress::parse(ip)) addresses.insert(*address);
  }
  if (addresses.empty()) {
    for (const auto& record : live) {
      for (const auto& endpoint : record->endpoints) {
        if (endpoint.ready) addresses.insert(endpoint.addresses.begin(), endpoint.addresses.end());
      }
    }
  }
  for (const auto& address : addresses) add_address(name, address, ttl);
  for (const auto& port : service.spec.ports) {
    // An address of an endpoint is reached on the endpoint's own port.
    const auto number = service.spec.ips.empty() ? endpoint_port(*live.front(), port) : port.port;
    add_srv(name, number, name, ttl);
    if (!port.name.empty()) {
      add_srv(lower(fmt::format("_{}._{}.{}", port.name, port.protocol, name)), number, name, ttl);
    }
  }
}

namespace {

struct Picked {
  std::vector<std::span<const std::uint8_t>> records;
  bool truncated = false;
};

// All records if they fit. Else a part of an address set (every part of it is an answer, and old
// resolvers never come back over TCP), or nothing and the TC bit for other types.
void pick(const RecordSet& set, Type type, std::size_t room, unsigned rotate, Picked& out) {
  const auto count = set.records.size();
  std::size_t size = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const auto& one = set.records[(i + rotate) % count];
    if (size + one.size() > room) {
      const bool addresses = type == Type::kA || type == Type::kAaaa;
      if (!addresses || i == 0) {
        out.records.clear();
        out.truncated = true;
      }
      return;
    }
    size += one.size();
    out.records.emplace_back(one);
  }
}

}  // namespace

std::size_t Table::answer(const Query& query, std::size_t limit, unsigned rotate,
                          std::span<std::uint8_t> out, Rcode& rcode) const {
  Response response;
  const auto finish = [&](std::span<const std::span<const std::uint8_t>> records) {
    rcode = response.rcode;
    return write_response(query, response, records, out);
  };
  const auto refuse = [&](Rcode with) {
    response.rcode = with;
    response.authoritative = false;
    return finish({});
  };
  constexpr std::uint16_t kIn = 1;
  if (query.klass != kIn || !in_zone(query.name)) return refuse(Rcode::kRefused);
  const auto type = static_cast<Type>(query.type);
  if (type == Type::kAxfr || type == Type::kIxfr) return refuse(Rcode::kRefused);
  if (!ready_) return refuse(Rcode::kServFail);

  const auto found = names_.find(query.name);
  const RecordSet* set = nullptr;
  auto answered = type;
  if (found != names_.end()) {
    if (type == Type::kAny && !found->second.empty()) {  // RFC 8482: one set is enough
      answered = found->second.begin()->first;
    }
    if (const auto at = found->second.find(answered); at != found->second.end()) set = &at->second;
  }
  if (set == nullptr) {
    response.rcode = found == names_.end() ? Rcode::kNxDomain : Rcode::kNoError;
    const std::array<std::span<const std::uint8_t>, 1> authority = {negative_soa_};
    if (overhead(query) + negative_soa_.size() > limit) return finish({});
    response.authorities = 1;
    return finish(authority);
  }
  Picked picked;
  const auto fixed = overhead(query);
  pick(*set, answered, limit > fixed ? limit - fixed : 0, rotate, picked);
  response.truncated = picked.truncated;
  response.answers = static_cast<std::uint16_t>(picked.records.size());
  return finish(picked.records);
}

}  // namespace cw::discovery::dns
