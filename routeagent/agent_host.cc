// What the agent knows of its host: links, addresses and connected networks, as a job dumped them.
#include <utility>

#include "routeagent/agent.h"

namespace cw::routeagent {

void Agent::look() {
  // While one look runs, what is known serves: only changes of the host wait for the next look.
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
  CW_CHECK(taken);  // there is one at a time
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
    return pod.second == inputs.host.underlay_link;  // of a virtual machine or container
  });
  return {};
}

}  // namespace cw::routeagent
