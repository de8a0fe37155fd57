#include "api/types/codec.h"
#include "api/types/json_fields.h"

namespace cw::api {

using nlohmann::json;

template <>
Result<RouteAgent> decode(const json& body) {
  std::optional<Error> problem;
  RouteAgent agent;
  agent.meta = decode_meta(body, problem);
  JsonFields fields(body, "", problem);
  fields.object("spec", [&](JsonFields& spec) {
    spec.read("node", agent.spec.node);
    spec.read("publicKey", agent.spec.public_key);
    spec.object("overlay", [&](JsonFields& overlay) {
      agent.spec.overlay = RouteAgent::Overlay{};
      auto& side = *agent.spec.overlay;
      overlay.read("version", side.version);
      overlay.read("mode", side.mode);
      overlay.read("port", side.port);
    });
  });
  fields.object("status", [&](JsonFields& status) {
    status.list("chosen", agent.status.chosen, [](JsonFields& f) {
      ChosenGateway chosen;
      f.require("cluster", chosen.cluster);
      f.read("ordinal", chosen.ordinal);
      f.read("reason", chosen.reason);
      f.read("since", chosen.since);
      return chosen;
    });
    status.list("gateways", agent.status.gateways, [](JsonFields& f) {
      GatewayProbe probe;
      f.read("ordinal", probe.ordinal);
      f.read("state", probe.state);
      f.read("rttMs", probe.rtt_ms);
      f.read("loss", probe.loss);
      return probe;
    });
    status.read("routes", agent.status.routes);
    status.read("errors", agent.status.errors);
    status.read("closed", agent.status.closed);
    read_conditions(status, agent.status.conditions);
  });
  if (problem) return fail(*problem);
  return agent;
}

template <>
json encode(const RouteAgent& agent) {
  auto out = envelope(Kind::kRouteAgent, agent.meta);
  out["spec"] = {{"node", agent.spec.node}, {"publicKey", agent.spec.public_key}};
  if (const auto& overlay = agent.spec.overlay) {
    auto& side = out["spec"]["overlay"];
    side = {{"version", overlay->version}, {"mode", overlay->mode}};
    if (overlay->port != 0) side["port"] = overlay->port;
  }
  if (agent.status == RouteAgent::Status{}) return out;
  auto& status = out["status"];
  status["routes"] = agent.status.routes;
  for (const auto& chosen : agent.status.chosen) {
    json item{{"cluster", chosen.cluster}, {"ordinal", chosen.ordinal}, {"reason", chosen.reason}};
    if (chosen.since != WallTime{}) item["since"] = format_time(chosen.since);
    status["chosen"].push_back(std::move(item));
  }
  for (const auto& probe : agent.status.gateways) {
    status["gateways"].push_back({{"ordinal", probe.ordinal},
                                  {"state", probe.state},
                                  {"rttMs", probe.rtt_ms},
                                  {"loss", probe.loss}});
  }
  put_unless_empty(status, "errors", agent.status.errors);
  put_unless_empty(status, "closed", agent.status.closed);
  put_unless_empty(status, "conditions", to_json(agent.status.conditions));
  return out;
}

}  // namespace cw::api
