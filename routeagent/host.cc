#include "routeagent/host.h"

#include <utility>

#include "routeagent/node/this_node.h"

namespace cw::routeagent {

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
  return Dump{std::move(*links), std::move(*addresses), std::move(*connected)};
}

Result<HostFacts> Host::facts(const NodeView& self) const {
  if (!*dump_) return fail(dump_->error());
  const auto& dump = **dump_;
  auto facts = host_facts(dump.links, dump.addresses, self);
  facts.networks = host_networks(dump.addresses, dump.connected);
  facts.pods = pods_of(dump.links, dump.addresses, dump.connected, facts.underlay_link, self);
  return facts;
}

}  // namespace cw::routeagent
