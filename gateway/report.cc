#include "gateway/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace cw::gateway {
namespace {

constexpr Duration kNewsGap = std::chrono::seconds(2);      // between writes of news
constexpr Duration kNumbersGap = std::chrono::seconds(10);  // of counters and noise

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

bool same_measurements(const api::TunnelStatus& a, const api::TunnelStatus& b) {
  if (std::abs(a.loss - b.loss) >= 0.05) return false;
  const double apart = std::abs(a.rtt_ms - b.rtt_ms);
  return apart < 1 || apart < std::max(a.rtt_ms, b.rtt_ms) / 2;
}

api::TunnelGateway::Status bare(api::TunnelGateway::Status status) {
  for (auto& tunnel : status.tunnels) {
    tunnel.rtt_ms = tunnel.jitter_ms = tunnel.loss = 0;
    tunnel.rx_bytes = tunnel.tx_bytes = 0;
    // The first handshake is news. The later ones come every two minutes.
    if (tunnel.last_handshake != WallTime{}) tunnel.last_handshake = WallTime(Duration(1));
  }
  for (auto& condition : status.conditions) condition.last_transition = {};
  return status;
}

// True: `b` differs from `a` by more than counters and the noise of measurements.
bool tells_more(const api::TunnelGateway::Status& a, const api::TunnelGateway::Status& b) {
  if (bare(a) != bare(b)) return true;
  return !std::equal(a.tunnels.begin(), a.tunnels.end(), b.tunnels.begin(), b.tunnels.end(),
                     same_measurements);
}

}  // namespace

Report::Report(const Deps& deps, const Config& config, const ClusterView& view)
    : loop_(deps.loop),
      metrics_(deps.metrics),
      config_(config),
      view_(view),
      recorder_(deps.loop, deps.store, deps.random, api::kGatewayWriter, config.node),
      switches_(deps.loop, deps.store, deps.random, {api::kGatewayWriter, config.node},
                api::Kind::kTunnelGateway,
                [this] {
                  const auto object = stored();
                  return object == nullptr ? std::nullopt : std::optional(object->meta);
                }),
      repairs_(deps.loop,
               deps.metrics.counter("causeway_gateway_repairs_total",
                                    "Objects of ours that another program had removed or changed, "
                                    "and that are there again."),
               [this](const std::string& sentence) { record("Restored", sentence); }),
      keeper_(deps.loop, deps.store, deps.random,
              {[this](const auto&) { return step(); }, [this](const auto&) { return stored(); },
               [this](const auto&, api::Verb verb, const auto& result) {
                 if (result && verb == api::Verb::kStatus) last_status_ = loop_.now();
               }}) {}

std::shared_ptr<const api::TunnelGateway> Report::stored() const {
  return view_.gateways.find(gateway_key(config_.ordinal));
}

void Report::set_desired(const api::TunnelGateway& desired, bool urgent) {
  desired_ = desired;
  urgent_ = urgent;
  keeper_.look({api::Kind::kTunnelGateway, desired_.meta.key});
}

api::Step Report::step() const {
  const auto before = stored();
  auto next = desired_;
  if (before == nullptr) return api::write_step(api::Verb::kCreate, next);
  next.meta = before->meta;
  if (before->spec != desired_.spec) return api::write_step(api::Verb::kUpdate, next);
  if (before->status == desired_.status) return {};
  const bool news = tells_more(before->status, desired_.status);
  const auto gap = !news ? kNumbersGap : urgent_ ? Duration::zero() : kNewsGap;
  if (last_status_ && loop_.now() - *last_status_ < gap) return {};
  return api::write_step(api::Verb::kStatus, next);
}

void Report::record(const char* reason, const std::string& message) {
  const auto object = stored();
  if (object == nullptr) return;
  recorder_.record(api::Kind::kTunnelGateway, object->meta, {true, reason, message});
}

TunnelEvents Report::of_tunnels(std::function<void()> changed) {
  const auto moved = [this](const std::vector<Move>& moves) {
    for (const auto& move : moves) {
      switches_.add({fmt::format("prefixes of {}", move.to.cluster),
                     fmt::format("gateway {}", to_string(move.from)),
                     fmt::format("gateway {}", to_string(move.to)), move.reason, loop_.wall_now(),
                     move.broke, move.prefixes});
    }
  };
  const auto stuck = [this](const GatewayId& id, Remedy remedy) {
    record("TunnelStuck",
           fmt::format("handshakes with {} succeed, but no data arrives. Making the {} again",
                       to_string(id), remedy == Remedy::kDevice ? "device" : "peer"));
  };
  const auto rival = [this](const GatewayId&, const std::string& sentence) {
    record("KeyUsedTwice", sentence);
  };
  return {moved, stuck, std::move(changed), rival};
}

void Report::publish_ready(bool ready) {
  metrics_.gauge("causeway_gateway_ready", "1 while the gateway does its work.").set(ready ? 1 : 0);
}

void Report::publish_tunnels(const std::vector<api::TunnelStatus>& tunnels) {
  std::set<MetricLabels> now;
  for (const auto& tunnel : tunnels) {
    const MetricLabels labels{{"cluster", tunnel.cluster},
                              {"gateway", std::to_string(tunnel.ordinal)}};
    for (const auto& gauge : kTunnelGauges) {
      metrics_.gauge(gauge.name, gauge.help, labels).set(gauge.value(tunnel));
    }
    now.insert(labels);
  }
  for (const auto& labels : shown_) {
    if (now.count(labels) != 0) continue;
    for (const auto& gauge : kTunnelGauges) metrics_.forget(gauge.name, labels);
  }
  shown_ = std::move(now);
}

void Report::publish_feed(const Feed& feed) {
  metrics_.gauge("causeway_feed_streams", "Remote gateways that follow this one.")
      .set(static_cast<double>(feed.streams()));
  const auto view = feed.view();
  const auto connected =
      std::count_if(view.begin(), view.end(), [](const auto& one) { return one.second.connected; });
  metrics_.gauge("causeway_feed_connected", "Remote clusters whose feed is followed now.")
      .set(static_cast<double>(connected));
  metrics_.gauge("causeway_import_leader", "1 while this gateway writes the imported exports.")
      .set(feed.leading() ? 1 : 0);
}

}  // namespace cw::gateway
