#include "discovery/dns/metrics.h"

namespace cw::discovery::dns {

namespace {

constexpr std::array<const char*, kRcodes> kRcodeNames = {
    "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "6",  "7",      "8",
    "9",       "10",      "11",       "12",       "13",     "14",      "15", "BADVERS"};
constexpr std::array<std::string_view, 2> kZones = {kZone, "other"};
constexpr std::array<const char*, 2> kTransports = {"udp", "tcp"};

template <typename Pick>
std::uint64_t sum(const Server& server, const Pick& pick) {
  std::uint64_t total = 0;
  for (const auto& thread : server.threads()) total += pick(*thread);
  return total;
}

HistogramReading latency(const Server& server, bool tcp) {
  HistogramReading out;
  for (const auto bound : kLatencyBounds) {
    out.bounds.push_back(std::chrono::duration<double>(bound).count());
  }
  out.counts.resize(kLatencyBounds.size() + 1);
  for (const auto& thread : server.threads()) {
    if (thread->tcp != tcp) continue;
    for (std::size_t i = 0; i < out.counts.size(); ++i) {
      out.counts[i] += thread->counters.latency[i].get();
    }
    out.sum += static_cast<double>(thread->counters.latency_ns.get()) / 1e9;
  }
  return out;
}

}  // namespace

ServerMetrics::ServerMetrics(Metrics& metrics, const Server& server)
    : metrics_(metrics), server_(server) {
  for (const bool tcp : {false, true}) {
    metrics_.histogram("causeway_dns_response_seconds",
                       "Time from the receipt of a message to the sending of its answer.",
                       {{"transport", kTransports[tcp ? 1 : 0]}},
                       [&server, tcp] { return latency(server, tcp); });
  }
}

void ServerMetrics::count(const std::string& name, const std::string& help,
                          const MetricLabels& labels, std::uint64_t now) {
  if (now == 0) return;  // no series for events that never happened
  auto& counter = metrics_.counter(name, help, labels);
  auto& before = counted_[&counter];
  counter.add(static_cast<double>(now - before));
  before = now;
}

void ServerMetrics::refresh_queries() {
  for (std::size_t zone = 0; zone < kZones.size(); ++zone) {
    for (std::size_t type = 0; type < kCountedTypes.size(); ++type) {
      for (const bool tcp : {false, true}) {
        const auto now = sum(server_, [&](const Server::Thread& t) {
          return t.tcp == tcp ? t.counters.queries[zone][type].get() : 0;
        });
        count("causeway_dns_queries_total", "DNS queries that were answered.",
              {{"zone", std::string(kZones[zone])},
               {"type", std::string(kCountedTypes[type].second)},
               {"transport", kTransports[tcp ? 1 : 0]}},
              now);
      }
    }
    for (std::size_t rcode = 0; rcode < kRcodes; ++rcode) {
      const auto now = sum(server_, [&](const Server::Thread& t) {
        return t.counters.responses[zone][rcode].get();
      });
      count("causeway_dns_responses_total", "DNS responses by zone and rcode.",
            {{"zone", std::string(kZones[zone])}, {"rcode", kRcodeNames[rcode]}}, now);
    }
  }
}

void ServerMetrics::refresh_connections() {
  constexpr auto* kClosed = "causeway_dns_tcp_closed_total";
  constexpr auto* kWhy = "DNS connections that the server closed.";
  const auto total = [this](Count Counters::*which) {
    return sum(server_, [which](const Server::Thread& t) { return (t.counters.*which).get(); });
  };
  count("causeway_dns_truncated_total",
        "DNS responses that were truncated because they did not fit.", {},
        total(&Counters::truncated));
  count("causeway_dns_dropped_total", "Messages that got no answer.", {{"reason", "malformed"}},
        total(&Counters::dropped));
  count("causeway_dns_dropped_total", "Messages that got no answer.", {{"reason", "rate"}},
        total(&Counters::rate_dropped));
  count("causeway_dns_dropped_total", "Messages that got no answer.", {{"reason", "not_allowed"}},
        total(&Counters::foreign_dropped));
  count("causeway_dns_refused_clients_total", "Queries of clients that are not in allowFrom.", {},
        total(&Counters::foreign_refused));
  count("causeway_dns_rate_truncated_total",
        "Responses over the rate limit that told the client to use TCP.", {},
        total(&Counters::rate_truncated));
  count("causeway_dns_tcp_connections_total", "DNS connections accepted.", {},
        total(&Counters::accepted));
  count(kClosed, kWhy, {{"reason", "client_limit"}}, total(&Counters::refused_client));
  count(kClosed, kWhy, {{"reason", "limit"}}, total(&Counters::evicted));
  count(kClosed, kWhy, {{"reason", "idle"}}, total(&Counters::idle));
  metrics_.gauge("causeway_dns_tcp_connections", "DNS connections open now.")
      .set(static_cast<double>(total(&Counters::open)));
}

void ServerMetrics::refresh() {
  refresh_queries();
  refresh_connections();
}

}  // namespace cw::discovery::dns
