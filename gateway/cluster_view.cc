#include "gateway/cluster_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "api/mcs/export_record.h"
#include "base/log.h"

namespace cw::gateway {

namespace {

// Drops fields that the gateway does not read: the caches hold all Services of a cluster.
void only_identity(api::ObjectMeta& meta) {
  meta.uid = {};
  meta.labels.clear();
  meta.annotations.clear();
}

}  // namespace

ClusterView::ClusterView(Loop& loop, api::Store& store, Random& random, std::string ns,
                         const std::string& key_secret, std::function<void()> on_change)
    : properties(loop, store, random, on_change),
      pods(loop, store, random, ns, on_change),
      obstacles(loop, store, random, on_change),
      gateways(loop, store, random, on_change),
      agents(loop, store, random, [this] { receive_agents(); }),
      peers(loop, store, random, on_change),
      overlay_key(loop, store, random, on_change, ns, std::string(kOverlaySecret)),
      exports(loop, store, random, on_change),
      services(loop, store, random,
               [this, on_change] {
                 cluster_ips_.reset();
                 on_change();
               }),
      slices(loop, store, random, on_change),
      loop_(loop),
      store_(store),
      random_(random),
      ns_(std::move(ns)),
      on_change_(std::move(on_change)) {
  if (!key_secret.empty()) {
    private_key.emplace(loop_, store_, random_, on_change_, ns_, key_secret);
  }
  agents.track_changes();
  agents.set_trim([](api::RouteAgent& object) {
    only_identity(object.meta);
    object.status = {};  // not read here
  });
  exports.set_trim([](api::ServiceExport& object) {
    only_identity(object.meta);
    object.status = {};  // not read here
  });
  services.set_trim([](api::Service& object) { only_identity(object.meta); });
  slices.set_trim([](api::EndpointSlice& object) {
    std::erase_if(object.meta.labels,
                  [](const auto& label) { return label.first != api::kServiceNameLabel; });
    auto labels = std::move(object.meta.labels);
    only_identity(object.meta);
    object.meta.labels = std::move(labels);
    for (auto& endpoint : object.endpoints) endpoint.node = {};
    object.endpoints.shrink_to_fit();
    object.ports.shrink_to_fit();
  });
}

Result<std::string> ClusterView::cluster_id() const {
  const auto property = properties.find({"", std::string(api::kClusterIdProperty)});
  if (property == nullptr || property->value.empty()) {
    return fail(Errc::kNotFound, fmt::format("waiting for ClusterProperty {}: it names the cluster",
                                             api::kClusterIdProperty));
  }
  if (!api::is_dns_label(property->value)) {
    return fail(Errc::kInvalid,
                fmt::format("ClusterProperty {} is no RFC 1123 label", api::kClusterIdProperty));
  }
  return property->value;
}

Result<> ClusterView::synced() const {
  Result<> good;
  const auto check = [&good](const auto& informer, std::string_view kind) {
    if (!good || informer.synced()) return;
    good = fail(Errc::kUnavailable,
                fmt::format("waiting for the store: {}{}{}", kind,
                            informer.last_error().empty() ? "" : ": ", informer.last_error()));
  };
  check(properties, "ClusterProperty");
  if (auto listed = pods.synced(); !listed && good) good = std::move(listed);
  check(gateways, "TunnelGateway");
  check(agents, "RouteAgent");
  check(peers, "ClusterPeer");
  check(overlay_key, "Secret");
  if (private_key) check(*private_key, "Secret");
  for (const auto& [name, secret] : preshared_) {
    // A Secret that cannot be read stops only the tunnels of its own cluster.
    if (secret->last_error().empty()) check(*secret, "Secret " + name);
  }
  return good;
}

bool ClusterView::exports_synced() const {
  return exports.synced() && services.synced() && slices.synced();
}

std::vector<Prefix> ClusterView::cidrs() const { return pods.network().all(); }

std::vector<Prefix> ClusterView::own_prefixes(const std::string& node) const {
  return pods.network().of(node);
}

const prefixes::NodePrefixes& ClusterView::prefixes() const { return pods.network().nodes; }

PrefixSet ClusterView::cluster_ips() const {
  std::vector<Prefix> found;
  for (const auto& [key, service] : services.items()) {
    for (const auto& text : service->spec.cluster_ips) {
      if (const auto ip = IpAddress::parse(text)) found.push_back(Prefix::host(*ip));
    }
  }
  return PrefixSet(found);
}

std::vector<OwnPrefixes> ClusterView::networks() const {
  std::vector<Prefix> addresses;
  for (const auto& [key, node] : pods.nodes().items()) {
    for (const auto& ip : node->internal_ips) addresses.push_back(Prefix::host(ip));
    for (const auto& ip : node->external_ips) addresses.push_back(Prefix::host(ip));
  }
  std::vector<Prefix> controls;
  for (const auto& [key, gateway] : gateways.items()) {
    if (const auto parsed = tunnel::Key::from_base64(gateway->spec.public_key)) {
      controls.push_back(Prefix::host(tunnel::control_address(*parsed)));
    }
  }
  std::vector<Prefix> servers;
  const auto& all = slices.items();
  for (auto at = all.lower_bound({"default", ""}); at != all.end(); ++at) {
    if (at->first.ns != "default") break;
    if (!api::of_api_server(*at->second)) continue;
    for (const auto& endpoint : at->second->endpoints) {
      for (const auto& ip : endpoint.addresses) servers.push_back(Prefix::host(ip));
    }
  }
  if (!cluster_ips_) cluster_ips_ = cluster_ips();
  return {{"the address of a node of this cluster", PrefixSet(addresses)},
          {"the control address of a gateway of this cluster", PrefixSet(controls)},
          {"the API server of this cluster", PrefixSet(servers)},
          {"Services of this cluster", *cluster_ips_}};
}

std::vector<GatewayStatement> ClusterView::other_gateways(std::uint32_t self) const {
  std::vector<GatewayStatement> all;
  for (const auto& [key, gateway] : gateways.items()) {
    const auto& spec = gateway->spec;
    if (spec.ordinal == self || spec.public_key.empty()) continue;
    all.push_back(
        {spec.ordinal, spec.public_key, spec.endpoints, gateway->status.draining, spec.node});
  }
  return all;
}

void ClusterView::receive_agents() {
  bool news = agents.synced() != agents_synced_;
  agents_synced_ = agents.synced();
  for (const auto& key : agents.take_changes()) {
    const auto agent = agents.find(key);
    if (agent == nullptr || agent->spec.node != key.name) continue;
    const auto parsed = tunnel::Key::from_base64(agent->spec.public_key);
    if (!parsed || parsed->is_zero()) continue;
    auto& known = agent_keys_[key.name];
    news = news || known != *parsed;
    known = *parsed;
  }
  std::erase_if(agent_keys_, [this](const auto& one) {
    return agents.find({"", one.first}) == nullptr && pods.nodes().synced() &&
           pods.nodes().find({"", one.first}) == nullptr;
  });
  if (news) on_change_();
}

std::map<std::string, tunnel::Key> ClusterView::node_keys() const {
  auto keys = agent_keys_;
  std::erase_if(keys, [this](const auto& one) {
    return pods.nodes().find({"", one.first}) == nullptr;
  });
  return keys;
}

void ClusterView::read_preshared_keys() {
  std::set<std::string> wanted;
  for (const auto& [key, peer] : peers.items()) {
    if (!peer->spec.preshared_key_secret.empty()) wanted.insert(peer->spec.preshared_key_secret);
  }
  const auto unnamed = [&](const auto& entry) { return wanted.count(entry.first) == 0; };
  std::erase_if(preshared_, unnamed);
  std::erase_if(preshared_keys_, unnamed);
  for (const auto& name : wanted) {
    auto& informer = preshared_[name];
    if (informer == nullptr) {
      informer = std::make_unique<api::Informer<api::Secret>>(loop_, store_, random_, on_change_,
                                                              ns_, name);
    }
    const auto secret = informer->find({ns_, name});
    const auto key = secret == nullptr ? Result<tunnel::Key>{fail(Errc::kNotFound, "no Secret")}
                                       : key_from_secret(*secret, std::string(kPresharedKeyEntry));
    const auto known = preshared_keys_.find(name);
    if (key) {
      preshared_keys_[name] = {*key, false};
    } else if (known != preshared_keys_.end() && informer->synced() && !known->second.kept) {
      known->second.kept = true;
      log_warn("the Secret of a pre-shared key is gone or cannot be read; the key stays in use",
               {{"secret", name}});
    }
  }
}

}  // namespace cw::gateway
