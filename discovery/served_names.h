// The services of the clusterset by one set of resources, and the DNS table of their names. A
// replica has one for the store, and another one for the table from disk until the store answers
// (kept_names.h). Loop thread only.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "discovery/config.h"
#include "discovery/dns/table.h"
#include "discovery/mcs/view.h"
#include "discovery/sources.h"

namespace cw::discovery {

// The DNS server, as its tables' owners see it.
struct Outlet {
  std::function<void(std::shared_ptr<const dns::Table>)> publish;
  // Receives the server's clients: the pods and nodes of this cluster.
  std::function<void(const std::vector<Prefix>& clients)> allow = [](const auto&) {};
  std::vector<IpAddress> listening{};     // of ns.dns.clusterset.local if it has no others
  std::optional<std::uint32_t> serial{};  // of the newest table
};

class ServedNames {
 public:
  // Config and Outlet must outlive it.
  ServedNames(Loop& loop, const Config& config, Outlet& outlet);

  [[nodiscard]] ViewBook& book() { return book_; }
  [[nodiscard]] const View& view() const { return book_.view(); }
  // Publishes a table with the new names of the services `changed`. False: the table of the last
  // call is still right. `services` has the derived Services with their virtual IPs.
  bool publish(const Keys& changed, const Items<api::Service>& services);
  [[nodiscard]] bool published() const { return published_; }
  [[nodiscard]] Duration last_build() const { return last_build_; }  // of the newest table
  // The services by their derived Services, whose virtual IPs are in the table.
  [[nodiscard]] const std::map<api::ObjectKey, api::ObjectKey>& by_derived() const {
    return by_derived_;
  }

 private:
  void put(const api::ObjectKey& key, const Items<api::Service>& services);
  [[nodiscard]] std::vector<IpAddress> servers(const Items<api::Service>& services) const;

  Loop& loop_;
  const Config& config_;
  Outlet& outlet_;
  ViewBook book_;
  dns::TableBuilder tables_;
  std::map<api::ObjectKey, api::ObjectKey> by_derived_;
  bool published_ = false;
  Duration last_build_{};
};

}  // namespace cw::discovery
