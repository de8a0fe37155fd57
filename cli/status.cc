#include "cli/status.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/closed.h"
#include "cli/output/table.h"
#include "cli/output/units.h"
#include "prefixes/pod_network.h"

namespace cw::cli {

namespace {

Tone tone_of_state(const std::string& state) {
  if (state == "up" || state == "ready" || state == "self") return Tone::kGood;
  if (state == "down" || state == "not ready") return Tone::kBad;
  return Tone::kWarn;
}

// The messages of conditions with status False.
std::vector<std::string> complaints(const std::vector<api::Condition>& conditions) {
  std::vector<std::string> found;
  for (const auto& condition : conditions) {
    if (condition.status != api::ConditionStatus::kFalse) continue;
    found.push_back(fmt::format("{}: {}", condition.type,
                                condition.message.empty() ? condition.reason : condition.message));
  }
  return found;
}

// Exports that other clusters get not at all or not completely. At most kMost, because a list of
// thousands would hide the other problems.
std::vector<std::string> complaints(const std::vector<api::ServiceExport>& exports) {
  constexpr std::size_t kMost = 20;
  std::vector<std::string> found;
  for (const auto& object : exports) {
    for (const auto* type : {"Valid", "Reachable"}) {
      const auto* said = api::find_condition(object.status.conditions, type);
      if (said == nullptr || said->status != api::ConditionStatus::kFalse) continue;
      found.push_back(fmt::format("export {}: {}", object.meta.key.to_string(), said->message));
      break;
    }
  }
  if (found.size() <= kMost) return found;
  const auto more = found.size() - kMost;
  found.resize(kMost);
  found.push_back(fmt::format("{} more exports are not valid or lack endpoints", more));
  return found;
}

std::string gateway_state(const api::TunnelGateway& gateway) {
  if (gateway.status.draining) return "draining";
  const auto* ready = api::find_condition(gateway.status.conditions, "Ready");
  if (ready == nullptr) return "unknown";
  return ready->status == api::ConditionStatus::kTrue ? "ready" : "not ready";
}

template <typename T, typename Key>
std::vector<T> sorted(std::vector<T> values, Key key) {
  std::sort(values.begin(), values.end(), [&](const T& a, const T& b) { return key(a) < key(b); });
  return values;
}

std::string ordinal_text(std::int64_t ordinal) {
  return ordinal < 0 ? "none" : std::to_string(ordinal);
}

StatusInputs in_order(StatusInputs in) {
  in.peers = sorted(std::move(in.peers), [](const auto& p) { return p.spec.cluster_id; });
  in.gateways = sorted(std::move(in.gateways), [](const auto& g) { return g.spec.ordinal; });
  in.agents = sorted(std::move(in.agents), [](const auto& a) { return a.meta.key.name; });
  for (auto& gateway : in.gateways) {
    gateway.status.tunnels = sorted(std::move(gateway.status.tunnels),
                                    [](const auto& t) { return std::pair(t.cluster, t.ordinal); });
  }
  return in;
}

Table clusters_table(const StatusInputs& in) {
  Table table({"CLUSTER", "CONNECTED", "GATEWAYS", "PREFIXES"});
  for (const auto& peer : in.peers) {
    const bool connected = peer.status.connected;
    const auto gateways = std::max(peer.status.gateways.size(), peer.spec.gateways.size());
    table.add({peer.spec.cluster_id,
               Cell(connected ? "yes" : "no", connected ? Tone::kGood : Tone::kBad),
               std::to_string(gateways), joined(peer.status.cidrs)});
  }
  return table;
}

Table gateways_table(const StatusInputs& in) {
  Table table({"GATEWAY", "NODE", "STATE", "DRIVER", "TUNNELS", "HOME OF"});
  for (const auto& gateway : in.gateways) {
    const auto state = gateway_state(gateway);
    const auto& tunnels = gateway.status.tunnels;
    const auto up = std::count_if(tunnels.begin(), tunnels.end(), [](const auto& t) {
      return t.state == "up" || t.state == "degraded";
    });
    table.add({std::to_string(gateway.spec.ordinal), gateway.spec.node,
               Cell(state, tone_of_state(state)), gateway.status.driver,
               fmt::format("{}/{}", up, tunnels.size()), joined(gateway.status.homed)});
  }
  return table;
}

Table tunnels_table(const StatusInputs& in) {
  Table table({"GATEWAY", "PEER", "STATE", "RTT", "JITTER", "LOSS", "HANDSHAKE", "RECEIVED", "SENT",
               "ENDPOINT"});
  for (const auto& gateway : in.gateways) {
    for (const auto& tunnel : gateway.status.tunnels) {
      const bool measured = tunnel.rtt_ms > 0;
      table.add({std::to_string(gateway.spec.ordinal),
                 fmt::format("{}/{}", tunnel.cluster, tunnel.ordinal),
                 Cell(tunnel.state, tone_of_state(tunnel.state)),
                 measured ? millis_text(tunnel.rtt_ms) : "-",
                 measured ? millis_text(tunnel.jitter_ms) : "-",
                 Cell(percent_text(tunnel.loss), tunnel.loss > 0.05 ? Tone::kWarn : Tone::kPlain),
                 since_text(tunnel.last_handshake, in.now), bytes_text(tunnel.rx_bytes),
                 bytes_text(tunnel.tx_bytes), tunnel.endpoint.empty() ? "-" : tunnel.endpoint});
    }
  }
  return table;
}

Table nodes_table(const StatusInputs& in) {
  Table table({"NODE", "TO", "GATEWAY", "FOR", "REASON", "SEES"});
  for (const auto& agent : in.agents) {
    std::vector<std::string> sees;
    for (const auto& probe : agent.status.gateways) {
      sees.push_back(fmt::format("{}={}", probe.ordinal, probe.state));
    }
    const auto seen = fmt::format("{}", fmt::join(sees, " "));
    if (agent.status.chosen.empty()) {
      // The reason why a node serves no cluster is among the problems.
      table.add({agent.meta.key.name, "-", "-", "-",
                 in.peers.empty()
                     ? Cell("no remote cluster")
                     : Cell(agent.status.errors.empty() ? "serves no remote cluster"
                                                        : "serves no remote cluster: see below",
                            Tone::kBad),
                 seen});
    }
    for (const auto& chosen : agent.status.chosen) {
      table.add({agent.meta.key.name, chosen.cluster,
                 Cell(ordinal_text(chosen.ordinal), chosen.ordinal < 0 ? Tone::kBad : Tone::kPlain),
                 since_text(chosen.since, in.now), chosen.reason, seen});
    }
  }
  return table;
}

std::vector<std::string> problems_of(const StatusInputs& in) {
  std::vector<std::string> problems;
  const auto take = [&](const std::string& who, const std::vector<std::string>& what) {
    for (const auto& text : what) problems.push_back(fmt::format("{}: {}", who, text));
  };
  for (const auto& peer : in.peers) {
    take("cluster " + peer.spec.cluster_id, complaints(peer.status.conditions));
  }
  for (const auto& gateway : in.gateways) {
    take(fmt::format("gateway {}", gateway.spec.ordinal), complaints(gateway.status.conditions));
    for (const auto& tunnel : gateway.status.tunnels) {
      if (tunnel.trouble.empty()) continue;
      take(fmt::format("gateway {} to {}/{}", gateway.spec.ordinal, tunnel.cluster, tunnel.ordinal),
           {tunnel.trouble});
    }
  }
  for (const auto& agent : in.agents) {
    take("node " + agent.meta.key.name, agent.status.errors);
    // With errors, the conditions only repeat them. Without errors, they say why the agent waits.
    if (agent.status.errors.empty()) {
      take("node " + agent.meta.key.name, complaints(agent.status.conditions));
    }
  }
  const auto exports = complaints(in.exports);
  problems.insert(problems.end(), exports.begin(), exports.end());
  const auto closed = closed_without_peer(holders_of(in.agents), in.peers);
  problems.insert(problems.end(), closed.begin(), closed.end());
  problems.insert(problems.end(), in.problems.begin(), in.problems.end());
  return problems;
}

nlohmann::ordered_json time_tree(WallTime time) {
  if (time == WallTime{}) return nullptr;
  return api::format_time(time);
}

nlohmann::ordered_json tunnel_tree(const api::TunnelGateway& gateway,
                                   const api::TunnelStatus& tunnel) {
  nlohmann::ordered_json tree;
  tree["gateway"] = gateway.spec.ordinal;
  tree["cluster"] = tunnel.cluster;
  tree["peer"] = tunnel.ordinal;
  tree["state"] = tunnel.state;
  if (!tunnel.trouble.empty()) tree["trouble"] = tunnel.trouble;
  tree["endpoint"] = tunnel.endpoint;
  tree["rttMs"] = tunnel.rtt_ms;
  tree["jitterMs"] = tunnel.jitter_ms;
  tree["loss"] = tunnel.loss;
  tree["lastHandshake"] = time_tree(tunnel.last_handshake);
  tree["rxBytes"] = tunnel.rx_bytes;
  tree["txBytes"] = tunnel.tx_bytes;
  tree["allowed"] = texts_of(tunnel.allowed);
  return tree;
}

nlohmann::ordered_json agent_tree(const api::RouteAgent& agent) {
  nlohmann::ordered_json tree;
  tree["name"] = agent.meta.key.name;
  tree["routes"] = agent.status.routes;
  tree["chosen"] = nlohmann::ordered_json::array();
  for (const auto& chosen : agent.status.chosen) {
    nlohmann::ordered_json entry;
    entry["cluster"] = chosen.cluster;
    entry["gateway"] = chosen.ordinal < 0 ? nlohmann::ordered_json(nullptr)
                                          : nlohmann::ordered_json(chosen.ordinal);
    entry["reason"] = chosen.reason;
    entry["since"] = time_tree(chosen.since);
    tree["chosen"].push_back(std::move(entry));
  }
  tree["gateways"] = nlohmann::ordered_json::array();
  for (const auto& probe : agent.status.gateways) {
    tree["gateways"].push_back({{"ordinal", probe.ordinal},
                                {"state", probe.state},
                                {"rttMs", probe.rtt_ms},
                                {"loss", probe.loss}});
  }
  tree["errors"] = agent.status.errors;
  tree["closed"] = agent.status.closed;
  return tree;
}

// Where the prefixes of this cluster's nodes stand; empty: no gateway has said it.
std::string prefix_source(const StatusInputs& in) {
  for (const auto& gateway : in.gateways) {
    if (!gateway.status.prefix_source.empty()) return gateway.status.prefix_source;
  }
  return {};
}

}  // namespace

std::string status_text(const StatusInputs& unordered, bool colours) {
  const auto in = in_order(unordered);
  std::string text =
      in.cluster.empty()
          ? "This cluster has no id yet: create ClusterProperty cluster.clusterset.k8s.io.\n"
          : fmt::format("Cluster {}\n", in.cluster);
  if (const auto source = prefixes::source_of(prefix_source(in))) {
    text += fmt::format("Pod prefixes from {}\n", prefixes::object_of(*source));
  }
  const auto section = [&](const Table& table, std::string_view otherwise) {
    text += "\n" + (table.empty() ? fmt::format("{}\n", otherwise) : table.text(colours));
  };
  section(clusters_table(in), "No remote cluster: `causewayctl pair accept FILE` adds one.");
  section(gateways_table(in), "No gateway has announced itself yet.");
  section(tunnels_table(in), "No tunnels.");
  section(nodes_table(in), "No route agent has reported yet.");
  const auto problems = problems_of(in);
  if (!problems.empty()) text += "\n";
  for (const auto& problem : problems) text += painted("! " + problem, Tone::kBad, colours) + "\n";
  return text;
}

nlohmann::ordered_json status_tree(const StatusInputs& unordered) {
  const auto in = in_order(unordered);
  nlohmann::ordered_json tree;
  tree["cluster"] = in.cluster;
  if (const auto source = prefix_source(in); !source.empty()) tree["prefixSource"] = source;
  for (const auto* section : {"clusters", "gateways", "tunnels", "nodes"}) {
    tree[section] = nlohmann::ordered_json::array();
  }
  for (const auto& peer : in.peers) {
    nlohmann::ordered_json entry;
    entry["id"] = peer.spec.cluster_id;
    entry["connected"] = peer.status.connected;
    entry["gateways"] = std::max(peer.status.gateways.size(), peer.spec.gateways.size());
    entry["prefixes"] = texts_of(peer.status.cidrs);
    entry["allowed"] = texts_of(peer.spec.allowed_cidrs);
    tree["clusters"].push_back(std::move(entry));
  }
  for (const auto& gateway : in.gateways) {
    nlohmann::ordered_json entry;
    entry["ordinal"] = gateway.spec.ordinal;
    entry["node"] = gateway.spec.node;
    entry["state"] = gateway_state(gateway);
    entry["driver"] = gateway.status.driver;
    entry["publicKey"] = gateway.spec.public_key;
    entry["endpoints"] = texts_of(gateway.spec.endpoints);
    for (const auto& seen : gateway.status.observed) {
      entry["observed"][seen.by] = seen.endpoint.to_string();
    }
    entry["homed"] = texts_of(gateway.status.homed);
    tree["gateways"].push_back(std::move(entry));
    for (const auto& tunnel : gateway.status.tunnels) {
      tree["tunnels"].push_back(tunnel_tree(gateway, tunnel));
    }
  }
  for (const auto& agent : in.agents) tree["nodes"].push_back(agent_tree(agent));
  tree["problems"] = problems_of(in);
  return tree;
}

}  // namespace cw::cli
