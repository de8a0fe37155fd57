#include "discovery/dns/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace cw::discovery::dns {

namespace {

constexpr std::string_view kSpecVersion = "1.0.0";
constexpr std::string_view kServices = ".svc.clusterset.local";

std::vector<std::uint8_t> soa_rdata(std::uint32_t serial, std::uint32_t minimum) {
  auto out = *wire_name(fmt::format("ns.dns.{}", kZone));
  const auto mail = *wire_name(fmt::format("hostmaster.{}", kZone));
  out.insert(out.end(), mail.begin(), mail.end());
  // Names, refresh, retry and expire are those of CoreDNS. There are no zone transfers.
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

void RecordSet::add(std::span<const std::uint8_t> record, std::uint32_t unit, const Node* target) {
  bytes_.insert(bytes_.end(), record.begin(), record.end());
  records_.push_back({static_cast<std::uint32_t>(bytes_.size()), unit, target});
}

std::size_t RecordSet::first_of(std::uint32_t unit) const {
  const auto at = std::lower_bound(records_.begin(), records_.end(), unit,
                                   [](const Entry& e, std::uint32_t u) { return e.unit < u; });
  return static_cast<std::size_t>(at - records_.begin());
}

std::span<const std::uint8_t> RecordSet::slice(std::size_t first, std::size_t last) const {
  return std::span(bytes_).subspan(begin_of(first), begin_of(last) - begin_of(first));
}

void Table::start(const TableConfig& config, std::uint32_t serial) {
  ready_ = true;
  auto names = std::make_shared<Names>();
  const std::string zone(kZone);
  const auto soa = soa_rdata(serial, config.negative_ttl);
  // At most 300 s, as in CoreDNS.
  (*names)[zone][Type::kSoa].add(record(Type::kSoa, std::min(config.ttl, 300U), soa));
  negative_soa_ =
      record_of(*wire_name(zone), Type::kSoa, std::min(config.ttl, config.negative_ttl), soa);
  const auto server = "ns.dns." + zone;
  for (const auto& empty : {server, "dns." + zone, "svc." + zone}) names->try_emplace(empty);
  for (const auto& address : config.servers) {
    const auto type = address.is_v4() ? Type::kA : Type::kAaaa;
    (*names)[server][type].add(record(type, config.ttl, address.bytes()));
  }
  (*names)[zone][Type::kNs].add(record(Type::kNs, config.ttl, *wire_name(server)), 0,
                                &names->find(server)->second);
  // The TTL is that of the example in the multicluster DNS specification.
  std::vector<std::uint8_t> version{static_cast<std::uint8_t>(kSpecVersion.size())};
  version.insert(version.end(), kSpecVersion.begin(), kSpecVersion.end());
  (*names)["dns-version." + zone][Type::kTxt].add(record(Type::kTxt, 28800, version));
  fixed_ = std::move(names);
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
    if (++in_namespace_[service.ns] > 1) return;
  } else {
    if (!had) return;
    shard->erase(known);
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

bool TableBuilder::set_servers(std::vector<IpAddress> servers) {
  if (config_.servers == servers) return false;
  config_.servers = std::move(servers);
  return true;
}

std::shared_ptr<const Table> TableBuilder::build(std::uint32_t serial) {
  auto table = std::make_shared<Table>();
  table->start(config_, serial);
  std::copy(shards_.begin(), shards_.end(), table->shards_.begin());
  table->namespaces_ = spaces_;
  own_.fill(false);
  return table;
}

// Finds <left>.<svc>.<ns>.svc.clusterset.local from the right.
const Node* Table::find(std::string_view name) const {
  static const Node kEmpty;
  if (!name.ends_with(kServices)) {
    const auto at = fixed_->find(name);
    return at == fixed_->end() ? nullptr : &at->second;
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

constexpr std::size_t kOwner = 2;   // an owner that is a pointer
constexpr std::size_t kFixed = 10;  // type, class, TTL and length of a record

// A run of records that goes into an answer. It starts inside the set and wraps around.
class Run {
 public:
  Run(const RecordSet& set, std::size_t first) : set_(&set), first_(first % set.size()) {}
  static Run whole(const RecordSet& set, std::size_t first) {
    Run run(set, first);
    run.count_ = set.size();
    run.bytes_ = set.slice(0, set.size()).size();
    return run;
  }
  // The record after the last one.
  [[nodiscard]] std::size_t next() const { return index(count_); }
  [[nodiscard]] bool complete() const { return count_ == set_->size(); }
  void add() {
    bytes_ += set_->size_of(next());
    ++count_;
  }
  void add_unit(std::uint32_t unit) {
    while (!complete() && set_->unit(next()) == unit) add();
  }
  [[nodiscard]] std::size_t index(std::size_t i) const { return (first_ + i) % set_->size(); }
  [[nodiscard]] std::size_t count() const { return count_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  [[nodiscard]] const RecordSet& set() const { return *set_; }
  void write(ResponseWriter& out) const {
    const auto end = std::min(set_->size(), first_ + count_);
    out.append(set_->slice(first_, end));
    out.append(set_->slice(0, count_ - (end - first_)));
  }

 private:
  const RecordSet* set_;
  std::size_t first_;
  std::size_t count_ = 0;
  std::size_t bytes_ = 0;
};

// The part of a set that fits: whole units as long as there is room. A and AAAA must have the same
// units, so each leaves room for the larger one of both.
Run part_of(const Node& node, const RecordSet& set, Type type, std::size_t room, unsigned start) {
  const RecordSet* other = nullptr;
  if (type == Type::kA || type == Type::kAaaa) {
    const auto at = node.find(type == Type::kA ? Type::kAaaa : Type::kA);
    if (at != node.end()) other = &at->second;
  }
  const auto units = std::max(set.units(), other != nullptr ? other->units() : 0);
  const auto first = start % units;
  Run run(set, set.first_of(first));
  std::optional<Run> beside;
  if (other != nullptr) beside.emplace(*other, other->first_of(first));
  for (std::uint32_t i = 0; i < units; ++i) {
    const auto unit = (first + i) % units;
    Run next = run;
    next.add_unit(unit);
    if (beside) beside->add_unit(unit);
    if (next.bytes() > room || (beside && beside->bytes() > room)) break;
    run = next;
  }
  if (run.count() != 0) return run;
  // No unit fits whole. Take some of its records, because an answer without any helps no client.
  while (!run.complete() && run.bytes() + set.size_of(run.next()) <= room) run.add();
  return run;
}

// Adds the addresses of the names that the records of `run` point to, while whole sets fit. The
// first record of `run` begins at `at` in the message.
std::uint16_t add_addresses(ResponseWriter& out, const Run& run, Type type, std::size_t at) {
  constexpr std::size_t kMostPointer = 0x3fff;
  std::uint16_t added = 0;
  const Node* first = nullptr;
  const Node* last = nullptr;
  for (std::size_t i = 0; i < run.count(); ++i) {
    const auto record = run.index(i);
    const auto* target = run.set().target(record);
    // In SRV the name follows priority, weight and port. Records of one target are adjacent, except
    // at the two ends of the run.
    const auto name = at + kOwner + kFixed + (type == Type::kSrv ? 6 : 0);
    at += run.set().size_of(record);
    if (target == nullptr || target == first || target == last) continue;
    if (name > kMostPointer) break;
    if (first == nullptr) first = target;
    last = target;
    for (const auto family : {Type::kA, Type::kAaaa}) {
      const auto found = target->find(family);
      if (found == target->end()) continue;
      const auto& addresses = found->second;
      const auto all = addresses.slice(0, addresses.size());
      if (all.size() > out.room()) return added;
      out.append_owned(all, addresses.size_of(0), name);
      added = static_cast<std::uint16_t>(added + addresses.size());
    }
  }
  return added;
}

}  // namespace

std::size_t Table::answer(const Query& query, const Delivery& delivery, std::span<std::uint8_t> out,
                          Rcode& rcode) const {
  Response response;
  ResponseWriter writer(query, out, delivery.limit);
  const auto finish = [&] {
    rcode = response.rcode;
    return writer.finish(response);
  };
  const auto refuse = [&](Rcode with) {
    response.rcode = with;
    response.authoritative = false;
    return finish();
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
    if (negative_soa_.size() > writer.room()) return finish();
    response.authorities = 1;
    writer.append(negative_soa_);
    return finish();
  }
  auto run = Run::whole(*set, delivery.rotate);
  if (run.bytes() > writer.room()) {
    run = part_of(*found, *set, answered, writer.room(), delivery.part);
  }
  response.truncated = !run.complete() && !delivery.last_resort;
  response.answers = static_cast<std::uint16_t>(run.count());
  const auto at = writer.at();
  run.write(writer);
  if (run.complete()) response.additionals = add_addresses(writer, run, answered, at);
  return finish();
}

}  // namespace cw::discovery::dns
