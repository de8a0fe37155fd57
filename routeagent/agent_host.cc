// How the agent reads its host: a background job dumps links, addresses and connected networks.
#include <utility>

#include "routeagent/agent.h"

namespace cw::routeagent {

void Agent::look() {
  // While a job reads the host, a pass uses the last known state of it. A change of the host in
  // that time waits for the next job.
  if (host_dirty_ && !reading_host_) return look_at_host();
  if (host_) pass();
}

void Agent::look_at_host() {
  host_dirty_ = false;
  reading_host_ = true;
  const bool taken = background_.run([this, kernel = &slow_kernel_] {
    auto host = host_of(*kernel);
    return [this, host = std::move(host)] {
      reading_host_ = false;
      host_ = host;
      pass();
      if (host_dirty_) look_again();
    };
  });
  CW_CHECK(taken);  // one at a time: the queue has room
}

Result<Agent::HostView> Agent::host_of(netlink::Kernel& kernel) {
  auto links = kernel.all_links();
  if (!links) return fail(links.error().context("read links"));
  auto addresses = kernel.all_addresses();
  if (!addresses) return fail(addresses.error().context("read addresses"));
  auto connected = kernel.all_connected();
  if (!connected) return fail(connected.error().context("read connected routes"));
  return HostView{std::move(*links), std::move(*addresses), std::move(*connected)};
}

Result<> Agent::read_host(NodeInputs& inputs) {
  const auto& host = *host_;
  if (!host) return fail(host.error());
  inputs.host = host_facts(host->links, host->addresses, inputs.self);
  inputs.host.networks = host_networks(host->addresses, host->connected);
  inputs.host.routed_pods = host->connected.pods;
  std::erase_if(inputs.host.routed_pods, [&](const auto& pod) {
    return pod.second == inputs.host.underlay_link;  // this host is itself behind a veth
  });
  return {};
}

}  // namespace cw::routeagent
