#include "routeagent/host.h"

#include <fmt/format.h>

#include <set>
#include <utility>

#include "netlink/owners.h"
#include "routeagent/node/this_node.h"
#include "routeagent/node/whole_cluster.h"

namespace cw::routeagent {

namespace {

// Of "all" and of the devices that may lead to other machines: those with an IPv4 address, as the
// devices of pods have none, and tunnels. One that cannot be read counts as off.
std::map<std::string, int> rp_filters(netlink::Kernel& kernel,
                                      const std::vector<netlink::Link>& links,
                                      const std::vector<netlink::Address>& addresses) {
  std::set<std::string> names{"all"};
  for (const auto& address : addresses) {
    if (address.address.is_v4()) names.insert(address.link);
  }
  for (const auto& name : carrier_links(links, {})) names.insert(name);
  std::map<std::string, int> values;
  for (const auto& name : names) {
    const auto text = kernel.sysctl(fmt::format("ipv4/conf/{}/rp_filter", name));
    if (text && (*text == "1" || *text == "2")) values[name] = *text == "1" ? 1 : 2;
  }
  return values;
}

}  // namespace

Host::Host(const Deps& deps, Hooks hooks)
    : kernel_(deps.slow()),
      background_(deps.background),
      hooks_(std::move(hooks)),
      events_(deps.kernel.on_change([this] { changed(); })),
      resync_(deps.loop.every(deps.config.resync, [this] { changed(); })) {}

void Host::changed() {
  invalidate();
  hooks_.on_event();
}

bool Host::refresh() {
  if (!dirty_ || reading_) return false;
  dirty_ = false;
  reading_ = true;
  const bool taken = background_.run([this, kernel = &kernel_] {
    auto dump = Host::dump(*kernel);
    return [this, dump = std::move(dump)] {
      reading_ = false;
      dump_ = dump;
      hooks_.on_read();
    };
  });
  CW_CHECK(taken);  // one at a time: the queue has room
  return true;
}

Result<Host::Dump> Host::dump(netlink::Kernel& kernel) {
  auto links = kernel.all_links();
  if (!links) return fail(links.error().context("read links"));
  auto addresses = kernel.all_addresses();
  if (!addresses) return fail(addresses.error().context("read addresses"));
  auto connected = kernel.all_connected();
  if (!connected) return fail(connected.error().context("read connected routes"));
  auto rules = kernel.dump_rules();
  if (!rules) return fail(rules.error().context("read rules"));
  auto filters = rp_filters(kernel, *links, *addresses);
  return Dump{std::move(*links), std::move(*addresses), std::move(*connected), std::move(filters),
              std::move(*rules)};
}

Result<HostFacts> Host::facts(const NodeView& self) const {
  if (!*dump_) return fail(dump_->error());
  const auto& dump = **dump_;
  auto facts = host_facts(dump.links, dump.addresses, self);
  facts.networks = host_networks(dump.addresses, dump.connected);
  facts.strict = strict_links(facts.carriers, dump.rp_filter);
  facts.pods = pods_of(dump.links, dump.addresses, dump.connected, facts.underlay_link, self);
  facts.transit_rule = netlink::last_rule(dump.rules, netlink::kTransitTable);
  return facts;
}

}  // namespace cw::routeagent
