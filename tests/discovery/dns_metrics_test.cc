// The DNS server's counters, as a scrape shows them.
#include <regex>

#include "discovery/dns/metrics.h"
#include "tests/discovery/dns_scene.h"

namespace cw::discovery {
namespace {

class Scraped : public Serving {
 protected:
  // The value of one series; -1: there is none.
  double value(const std::string& series) {
    metrics_to.refresh();
    const auto text = "\n" + metrics.text();
    const auto at = text.find("\n" + series + " ");
    return at == std::string::npos ? -1 : std::stod(text.substr(at + series.size() + 2));
  }
  // Counters change after the client has its answer, so this waits.
  void expect(const std::string& series, double want) {
    for (int i = 0; i < 200 && value(series) != want; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    EXPECT_EQ(value(series), want) << series;
  }
  Metrics metrics;
  dns::ServerMetrics metrics_to{metrics, *server};
};

TEST_F(Scraped, QueriesByZoneTypeAndTransportAndResponsesByZoneAndRcode) {
  const auto udp = connect(SOCK_DGRAM);
  for (int i = 0; i < 3; ++i) (void)exchange(udp, query);
  (void)exchange(udp, query_of("pg.db.svc.clusterset.local", Type::kSrv));
  (void)exchange(udp, query_of("nothing.db.svc.clusterset.local", Type::kAaaa));
  (void)exchange(udp, query_of("example.com", static_cast<Type>(99)));
  const auto tcp = connect(SOCK_STREAM);
  send_tcp(tcp, query);
  (void)receive_tcp(tcp);
  const std::string q = "causeway_dns_queries_total";
  expect(q + R"({transport="udp",type="A",zone="clusterset.local"})", 3);
  expect(q + R"({transport="tcp",type="A",zone="clusterset.local"})", 1);
  expect(q + R"({transport="udp",type="SRV",zone="clusterset.local"})", 1);
  expect(q + R"({transport="udp",type="AAAA",zone="clusterset.local"})", 1);
  expect(q + R"({transport="udp",type="other",zone="other"})", 1);
  const std::string r = "causeway_dns_responses_total";
  expect(r + R"({rcode="NOERROR",zone="clusterset.local"})", 5);
  expect(r + R"({rcode="NXDOMAIN",zone="clusterset.local"})", 1);
  expect(r + R"({rcode="REFUSED",zone="other"})", 1);
  expect("causeway_dns_tcp_connections_total", 1);
  (void)exchange(udp, query);  // the counters go on from their old values
  expect(q + R"({transport="udp",type="A",zone="clusterset.local"})", 4);
}

TEST_F(Scraped, DropsAndConnectionsAreCounted) {
  const auto udp = connect(SOCK_DGRAM, nullptr, std::chrono::milliseconds(50));
  EXPECT_TRUE(exchange(udp, {1, 2, 3}).empty());
  expect(R"(causeway_dns_dropped_total{reason="malformed"})", 1);
  std::vector<UniqueFd> many;
  for (int i = 0; i < 6; ++i) many.push_back(connect(SOCK_STREAM));  // a client's limit is four
  expect(R"(causeway_dns_tcp_closed_total{reason="client_limit"})", 2);
  expect("causeway_dns_tcp_connections", 4);
  expect(R"(causeway_dns_tcp_closed_total{reason="idle"})", 4);  // after a second
  expect("causeway_dns_tcp_connections", 0);
}

TEST_F(Scraped, TheLatencyHistogramIsCumulativeAndCountsEveryAnswer) {
  const auto udp = connect(SOCK_DGRAM);
  for (int i = 0; i < 20; ++i) (void)exchange(udp, query);
  const std::string h = "causeway_dns_response_seconds";
  expect(h + R"(_count{transport="udp"})", 20);
  EXPECT_EQ(value(h + R"(_count{transport="tcp"})"), 0);
  EXPECT_EQ(value(h + R"(_bucket{transport="udp",le="+Inf"})"), 20);
  EXPECT_GT(value(h + R"(_sum{transport="udp"})"), 0);
  double before = 0;
  int buckets = 0;
  const auto text = metrics.text();
  const std::regex bucket(h + R"re(_bucket\{transport="udp",le="[^"]+"\} ([0-9]+))re");
  for (std::sregex_iterator at(text.begin(), text.end(), bucket), end; at != end; ++at, ++buckets) {
    EXPECT_GE(std::stod((*at)[1]), before);
    before = std::stod((*at)[1]);
  }
  EXPECT_EQ(buckets, static_cast<int>(dns::kLatencyBounds.size()) + 1);
}

}  // namespace
}  // namespace cw::discovery
