#include "api/types/object_codec.h"

namespace cw::api {

static void fields(JsonFields& f, RouteAgent::Overlay& overlay) {
  f.always("version", overlay.version);
  f.always("mode", overlay.mode);
  f.optional("port", overlay.port);
}

static void fields(JsonFields& f, RouteAgent::Spec& spec) {
  f.always("node", spec.node);
  f.always("publicKey", spec.public_key);
  f.optional("overlay", spec.overlay);
}

static void fields(JsonFields& f, ChosenGateway& chosen) {
  f.required("cluster", chosen.cluster);
  f.always("ordinal", chosen.ordinal);
  f.always("reason", chosen.reason);
  f.optional("since", chosen.since);
}

static void fields(JsonFields& f, GatewayProbe& probe) {
  f.always("ordinal", probe.ordinal);
  f.always("state", probe.state);
  f.always("rttMs", probe.rtt_ms);
  f.always("loss", probe.loss);
}

static void fields(JsonFields& f, RouteAgent::Status& status) {
  f.optional("chosen", status.chosen);
  f.optional("gateways", status.gateways);
  f.always("routes", status.routes);
  f.optional("errors", status.errors);
  f.optional("closed", status.closed);
  f.optional("conditions", status.conditions);
}

static void fields(JsonFields& f, RouteAgent& agent) {
  f.always("spec", agent.spec);
  f.optional("status", agent.status);
}
template Result<RouteAgent> decode(const nlohmann::json& body);
template nlohmann::json encode(const RouteAgent& object);

}  // namespace cw::api
