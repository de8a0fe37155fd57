#include "api/types/object_codec.h"

namespace cw::api {

static void fields(JsonFields& f, TunnelStatus& tunnel) {
  f.required("cluster", tunnel.cluster);
  f.always("ordinal", tunnel.ordinal);
  f.always("state", tunnel.state);
  f.optional("trouble", tunnel.trouble);
  f.optional("endpoint", tunnel.endpoint);
  f.always("rttMs", tunnel.rtt_ms);
  f.always("jitterMs", tunnel.jitter_ms);
  f.always("loss", tunnel.loss);
  f.optional("lastHandshake", tunnel.last_handshake);
  f.always("rxBytes", tunnel.rx_bytes);
  f.always("txBytes", tunnel.tx_bytes);
  f.optional("allowed", tunnel.allowed);
}

static void fields(JsonFields& f, ObservedEndpoint& observed) {
  f.required("by", observed.by);
  f.always("endpoint", observed.endpoint);
}

static void fields(JsonFields& f, TunnelGateway::Spec& spec) {
  f.always("ordinal", spec.ordinal);
  f.required("node", spec.node);
  f.always("nodeIp", spec.node_ip);
  f.required("publicKey", spec.public_key);
  f.always("endpoints", spec.endpoints);
  f.always("controlAddress", spec.control_address);
}

static void fields(JsonFields& f, TunnelGateway::Status& status) {
  f.always("driver", status.driver);
  f.always("draining", status.draining);
  f.optional("homed", status.homed);
  f.optional("prefixSource", status.prefix_source);
  f.optional("tunnels", status.tunnels);
  f.optional("observed", status.observed);
  f.optional("conditions", status.conditions);
}

static void fields(JsonFields& f, TunnelGateway& gateway) {
  f.required("spec", gateway.spec);
  f.optional("status", gateway.status);
}
template Result<TunnelGateway> decode(const nlohmann::json& body);
template nlohmann::json encode(const TunnelGateway& object);

}  // namespace cw::api
