#include "discovery/served_names.h"

#include "discovery/mcs/derived.h"

namespace cw::discovery {

namespace {

std::uint32_t seconds(std::chrono::nanoseconds duration) {
  return static_cast<std::uint32_t>(std::chrono::floor<std::chrono::seconds>(duration).count());
}

}  // namespace

ServedNames::ServedNames(Loop& loop, const Config& config, Outlet& outlet)
    : loop_(loop),
      config_(config),
      outlet_(outlet),
      book_(config.stale_drop),
      tables_({seconds(config.ttl), seconds(config.negative_ttl), {}}) {}

std::vector<IpAddress> ServedNames::servers(const Items<api::Service>& services) const {
  if (!config_.server_addresses.empty()) return config_.server_addresses;
  const auto own = services.find({config_.ns, config_.service});
  if (own == services.end()) return outlet_.listening;
  auto out = api::addresses_of(own->second->spec.cluster_ips);
  return out.empty() ? outlet_.listening : out;
}

void ServedNames::put(const api::ObjectKey& key, const Items<api::Service>& services) {
  const auto at = view().services.find(key);
  if (at == view().services.end()) {
    by_derived_.erase(derived_key(key));
    return tables_.remove(key);
  }
  std::vector<std::string> ips;
  if (config_.derive) {
    by_derived_[derived_key(key)] = key;
    ips = virtual_ips(services, key);
  }
  tables_.put({at->second.merged, at->second.stale, std::move(ips), book_.cluster()});
}

bool ServedNames::publish(const Keys& changed, const Items<api::Service>& services) {
  const bool moved = tables_.set_servers(servers(services));
  if (published_ && changed.empty() && !moved) return false;
  published_ = true;
  const auto begun = std::chrono::steady_clock::now();
  for (const auto& key : changed) put(key, services);
  const auto clock = seconds(loop_.wall_now().time_since_epoch());
  outlet_.serial = dns::next_serial(outlet_.serial, clock);
  outlet_.publish(tables_.build(*outlet_.serial));
  last_build_ = std::chrono::steady_clock::now() - begun;
  return true;
}

}  // namespace cw::discovery
