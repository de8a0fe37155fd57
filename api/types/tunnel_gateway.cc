#include "api/types/codec.h"
#include "api/types/json_fields.h"

namespace cw::api {

using nlohmann::json;

namespace {

TunnelStatus read_tunnel(JsonFields& f) {
  TunnelStatus tunnel;
  f.require("cluster", tunnel.cluster);
  f.read("ordinal", tunnel.ordinal);
  f.read("state", tunnel.state);
  f.read("trouble", tunnel.trouble);
  f.read("endpoint", tunnel.endpoint);
  f.read("rttMs", tunnel.rtt_ms);
  f.read("jitterMs", tunnel.jitter_ms);
  f.read("loss", tunnel.loss);
  f.read("lastHandshake", tunnel.last_handshake);
  f.read("rxBytes", tunnel.rx_bytes);
  f.read("txBytes", tunnel.tx_bytes);
  f.read("allowed", tunnel.allowed);
  return tunnel;
}

json to_json(const TunnelStatus& tunnel) {
  json out{{"cluster", tunnel.cluster},  {"ordinal", tunnel.ordinal},    {"state", tunnel.state},
           {"rttMs", tunnel.rtt_ms},     {"jitterMs", tunnel.jitter_ms}, {"loss", tunnel.loss},
           {"rxBytes", tunnel.rx_bytes}, {"txBytes", tunnel.tx_bytes}};
  put_unless_empty(out, "trouble", tunnel.trouble);
  put_unless_empty(out, "endpoint", tunnel.endpoint);
  if (tunnel.last_handshake != WallTime{})
    out["lastHandshake"] = format_time(tunnel.last_handshake);
  put_unless_empty(out, "allowed", texts(tunnel.allowed));
  return out;
}

}  // namespace

template <>
Result<TunnelGateway> decode(const json& body) {
  std::optional<Error> problem;
  TunnelGateway gateway;
  gateway.meta = decode_meta(body, problem);
  JsonFields fields(body, "", problem);
  if (!fields.has("spec")) fields.wrong("spec", "is missing");
  fields.object("spec", [&](JsonFields& spec) {
    spec.read("ordinal", gateway.spec.ordinal);
    spec.require("node", gateway.spec.node);
    spec.read("nodeIp", gateway.spec.node_ip);
    spec.require("publicKey", gateway.spec.public_key);
    spec.read("endpoints", gateway.spec.endpoints);
    spec.read("controlAddress", gateway.spec.control_address);
  });
  fields.object("status", [&](JsonFields& status) {
    status.read("driver", gateway.status.driver);
    status.read("draining", gateway.status.draining);
    status.read("homed", gateway.status.homed);
    status.list("tunnels", gateway.status.tunnels, read_tunnel);
    read_conditions(status, gateway.status.conditions);
  });
  if (problem) return fail(*problem);
  return gateway;
}

template <>
json encode(const TunnelGateway& gateway) {
  auto out = envelope(Kind::kTunnelGateway, gateway.meta);
  out["spec"] = {{"ordinal", gateway.spec.ordinal},
                 {"node", gateway.spec.node},
                 {"nodeIp", gateway.spec.node_ip.to_string()},
                 {"publicKey", gateway.spec.public_key},
                 {"endpoints", texts(gateway.spec.endpoints)},
                 {"controlAddress", gateway.spec.control_address.to_string()}};
  if (gateway.status == TunnelGateway::Status{}) return out;
  auto& status = out["status"];
  status["driver"] = gateway.status.driver;
  status["draining"] = gateway.status.draining;
  put_unless_empty(status, "homed", texts(gateway.status.homed));
  for (const auto& tunnel : gateway.status.tunnels) status["tunnels"].push_back(to_json(tunnel));
  put_unless_empty(status, "conditions", to_json(gateway.status.conditions));
  return out;
}

}  // namespace cw::api
