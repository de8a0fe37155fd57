// The daemon's metrics, set when /metrics is read.
#include "gateway/daemon_identified.h"

namespace cw::gateway {
namespace {

struct TunnelGauge {
  const char* name;
  const char* help;
  double (*value)(const api::TunnelStatus&);
};

double since_1970(WallTime time) {
  return std::chrono::duration<double>(time.time_since_epoch()).count();
}

constexpr TunnelGauge kTunnelGauges[] = {
    {"causeway_tunnel_up", "1 while probes come back through the tunnel.",
     [](const api::TunnelStatus& t) {
       return t.state == "up" || t.state == "degraded" ? 1.0 : 0.0;
     }},
    {"causeway_tunnel_rtt_seconds", "Round trip inside the tunnel, smoothed.",
     [](const api::TunnelStatus& t) { return t.rtt_ms / 1000; }},
    {"causeway_tunnel_jitter_seconds", "Variation of the round trip.",
     [](const api::TunnelStatus& t) { return t.jitter_ms / 1000; }},
    {"causeway_tunnel_loss_ratio", "Share of the last probes that was lost.",
     [](const api::TunnelStatus& t) { return t.loss; }},
    {"causeway_tunnel_rx_bytes_total", "Received from the remote gateway.",
     [](const api::TunnelStatus& t) { return static_cast<double>(t.rx_bytes); }},
    {"causeway_tunnel_tx_bytes_total", "Sent to the remote gateway.",
     [](const api::TunnelStatus& t) { return static_cast<double>(t.tx_bytes); }},
    {"causeway_tunnel_last_handshake_seconds",
     "Time of the last handshake, in seconds since 1970; 0: never.",
     [](const api::TunnelStatus& t) { return since_1970(t.last_handshake); }},
    {"causeway_tunnel_prefixes", "Remote prefixes carried through the tunnel.",
     [](const api::TunnelStatus& t) { return static_cast<double>(t.allowed.size()); }},
};

}  // namespace

void Daemon::set_metrics() {
  auto& metrics = deps_.metrics;
  metrics.gauge("causeway_gateway_ready", "1 while the gateway does its work.")
      .set(not_ready().empty() ? 1 : 0);
  std::set<MetricLabels> now;
  const auto gateway = identified_ == nullptr ? api::TunnelGateway{} : wanted_object();
  for (const auto& tunnel : gateway.status.tunnels) {
    const MetricLabels labels{{"cluster", tunnel.cluster},
                              {"gateway", std::to_string(tunnel.ordinal)}};
    for (const auto& gauge : kTunnelGauges) {
      metrics.gauge(gauge.name, gauge.help, labels).set(gauge.value(tunnel));
    }
    now.insert(labels);
  }
  for (const auto& labels : shown_) {
    if (now.count(labels) != 0) continue;
    for (const auto& gauge : kTunnelGauges) metrics.forget(gauge.name, labels);
  }
  shown_ = std::move(now);
  if (identified_ == nullptr) return;
  metrics.gauge("causeway_feed_streams", "Remote gateways that follow this one.")
      .set(static_cast<double>(identified_->feed.streams()));
  double connected = 0;
  for (const auto& [cluster, view] : identified_->feed.view()) connected += view.connected ? 1 : 0;
  metrics.gauge("causeway_feed_connected", "Remote clusters whose feed is followed now.")
      .set(connected);
  metrics.gauge("causeway_import_leader", "1 while this gateway writes the imported exports.")
      .set(identified_->feed.leading() ? 1 : 0);
}

}  // namespace cw::gateway
