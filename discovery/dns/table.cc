#include "discovery/dns/table.h"

#include <fmt/format.h>

#include <algorithm>

namespace cw::discovery::dns {

namespace {

constexpr std::string_view kSpecVersion = "1.0.0";
constexpr std::string_view kServices = ".svc.clusterset.local";

std::vector<std::uint8_t> soa_rdata(std::uint32_t serial, std::uint32_t minimum) {
  auto out = *wire_name(fmt::format("ns.dns.{}", kZone));
  const auto mail = *wire_name(fmt::format("hostmaster.{}", kZone));
  out.insert(out.end(), mail.begin(), mail.end());
  for (const auto value : {serial, 7200U, 1800U, 86400U, minimum}) {
    for (const auto shift : {24U, 16U, 8U, 0U}) {
      out.push_back(static_cast<std::uint8_t>(value >> shift));
    }
  }
  return out;
}

}  // namespace

bool in_zone(std::string_view name) {
  return name == kZone || (name.size() > kZone.size() && name.ends_with(kZone) &&
                           name[name.size() - kZone.size() - 1] == '.');
}

void RecordSet::add(std::span<const std::uint8_t> record) {
  bytes_.insert(bytes_.end(), record.begin(), record.end());
  ends_.push_back(static_cast<std::uint32_t>(bytes_.size()));
}

std::span<const std::uint8_t> RecordSet::slice(std::size_t first, std::size_t last) const {
  return std::span(bytes_).subspan(begin_of(first), begin_of(last) - begin_of(first));
}

void Table::start(const TableConfig& config, std::uint32_t serial) {
  ready_ = true;
  const std::string zone(kZone);
  const auto soa = soa_rdata(serial, config.negative_ttl);
  fixed_[zone][Type::kSoa].add(record(Type::kSoa, std::min(config.ttl, 300U), soa));
  negative_soa_ =
      record_of(*wire_name(zone), Type::kSoa, std::min(config.ttl, config.negative_ttl), soa);
  const auto server = "ns.dns." + zone;
  fixed_[zone][Type::kNs].add(record(Type::kNs, config.ttl, *wire_name(server)));
  for (const auto& empty : {server, "dns." + zone, "svc." + zone}) fixed_.try_emplace(empty);
  for (const auto& address : config.servers) {
    const auto type = address.is_v4() ? Type::kA : Type::kAaaa;
    fixed_[server][type].add(record(type, config.ttl, address.bytes()));
  }
  std::vector<std::uint8_t> version{static_cast<std::uint8_t>(kSpecVersion.size())};
  version.insert(version.end(), kSpecVersion.begin(), kSpecVersion.end());
  fixed_["dns-version." + zone][Type::kTxt].add(record(Type::kTxt, 28800, version));
}

Table::Table(const TableConfig& config, const std::vector<TableService>& services,
             std::uint32_t serial) {
  TableBuilder builder(config);
  for (const auto& entry : services) builder.put(entry);
  *this = *builder.build(serial);
}

void TableBuilder::set(const api::ObjectKey& service, std::shared_ptr<const Names> names) {
  const auto name = service.name + "." + service.ns;
  const auto index = Table::shard_of(name);
  auto& shard = shards_[index];
  if (shard == nullptr || !own_[index]) {
    shard = shard == nullptr ? std::make_shared<Shard>() : std::make_shared<Shard>(*shard);
    own_[index] = true;
  }
  const auto known = shard->find(name);
  const bool had = known != shard->end();
  if (names != nullptr) {
    (*shard)[name] = std::move(names);
    if (had) return;
    ++services_;
    if (++in_namespace_[service.ns] > 1) return;
  } else {
    if (!had) return;
    shard->erase(known);
    --services_;
    const auto count = in_namespace_.find(service.ns);
    if (--count->second > 0) return;
    in_namespace_.erase(count);
  }
  auto spaces = std::make_shared<Table::Spaces>();
  for (const auto& [space, count] : in_namespace_) spaces->insert(space);
  spaces_ = std::move(spaces);
}

void TableBuilder::put(const TableService& service) {
  auto names = names_of(service, config_.ttl);
  set(service.service->service, names->empty() ? nullptr : std::move(names));
}

void TableBuilder::remove(const api::ObjectKey& service) { set(service, nullptr); }

std::shared_ptr<const Table> TableBuilder::build(std::uint32_t serial) {
  auto table = std::make_shared<Table>();
  table->start(config_, serial);
  std::copy(shards_.begin(), shards_.end(), table->shards_.begin());
  table->namespaces_ = spaces_;
  table->services_ = services_;
  own_.fill(false);
  return table;
}

// <left>.<svc>.<ns>.svc.clusterset.local; names are found from the right.
const Node* Table::find(std::string_view name) const {
  static const Node kEmpty;
  if (!name.ends_with(kServices)) {
    const auto at = fixed_.find(name);
    return at == fixed_.end() ? nullptr : &at->second;
  }
  name.remove_suffix(kServices.size());
  const auto ns_dot = name.rfind('.');
  if (ns_dot == std::string_view::npos) {
    return namespaces_->find(name) == namespaces_->end() ? nullptr : &kEmpty;
  }
  if (ns_dot == 0) return nullptr;
  const auto svc_dot = name.rfind('.', ns_dot - 1);
  const bool bare = svc_dot == std::string_view::npos;
  const auto full = bare ? name : name.substr(svc_dot + 1);
  const auto& shard = shards_[shard_of(full)];
  if (shard == nullptr) return nullptr;
  const auto service = shard->find(full);
  if (service == shard->end()) return nullptr;
  const auto node = service->second->find(bare ? std::string_view() : name.substr(0, svc_dot));
  return node == service->second->end() ? nullptr : &node->second;
}

namespace {

// What of a set goes into an answer: two runs of bytes, as it starts in its midst.
struct Picked {
  std::array<std::span<const std::uint8_t>, 2> runs;
  std::size_t records = 0;
  bool truncated = false;
};

// All records if they fit. Else a part of an address set (every part of it is an answer, and old
// resolvers never come back over TCP), or nothing and the TC bit for other types.
Picked pick(const RecordSet& set, Type type, std::size_t room, unsigned rotate) {
  const auto count = set.size();
  const auto first = rotate % count;
  const auto all = set.slice(0, count).size();
  if (all <= room) return {{set.slice(first, count), set.slice(0, first)}, count, false};
  const auto one = set.begin_of(1);
  const auto fit = room / one;  // records of an address set are all of one size
  if ((type != Type::kA && type != Type::kAaaa) || fit == 0) return {{}, 0, true};
  const auto end = std::min(count, first + fit);
  return {{set.slice(first, end), set.slice(0, fit - (end - first))}, fit, false};
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
  if (query.klass != kIn || !in_zone(query.name.view())) return refuse(Rcode::kRefused);
  const auto type = static_cast<Type>(query.type);
  if (type == Type::kAxfr || type == Type::kIxfr) return refuse(Rcode::kRefused);
  if (!ready_) return refuse(Rcode::kServFail);

  const auto* found = find(query.name.view());
  const RecordSet* set = nullptr;
  auto answered = type;
  if (found != nullptr) {
    if (type == Type::kAny && !found->empty()) answered = found->begin()->first;  // RFC 8482
    if (const auto at = found->find(answered); at != found->end()) set = &at->second;
  }
  if (set == nullptr) {
    response.rcode = found == nullptr ? Rcode::kNxDomain : Rcode::kNoError;
    const std::array<std::span<const std::uint8_t>, 1> authority = {negative_soa_};
    if (overhead(query) + negative_soa_.size() > limit) return finish({});
    response.authorities = 1;
    return finish(authority);
  }
  const auto fixed = overhead(query);
  const auto picked = pick(*set, answered, limit > fixed ? limit - fixed : 0, rotate);
  response.truncated = picked.truncated;
  response.answers = static_cast<std::uint16_t>(picked.records);
  return finish(picked.runs);
}

}  // namespace cw::discovery::dns
