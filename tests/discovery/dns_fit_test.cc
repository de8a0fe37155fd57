// Sets that do not fit (RFC 2181, 5 and 9; multicluster DNS 2.4.1), and the additional section.
#include <set>

#include "tests/discovery/dns_scene.h"

namespace cw::discovery {
namespace {

class Fit : public Zone {
 protected:
  void serve(unsigned endpoints, bool both, bool headless = true) {
    auto big = export_of("east", headless, 1);
    many_endpoints(*big, 1, endpoints, both);
    services = {merge({Claimant{big}})};
    build();
  }
  Answer ask_as(unsigned client, const std::string& name, Type type, int udp_size,
                unsigned rotate = 0) {
    return send(query_of(name + ".clusterset.local", type, udp_size),
                {false, false, rotate, false, client});
  }
  Answer ask_tcp(const std::string& name, Type type) {
    return send(query_of(name + ".clusterset.local", type, 1232), true);
  }
  // The endpoints that have these addresses: 10.1.x.y and fd00::x:0:y.
  static std::set<unsigned> endpoints_of(const Strings& addresses) {
    std::set<unsigned> out;
    for (const auto& text : addresses) {
      const auto address = *IpAddress::parse(text);
      const auto bytes = address.bytes();
      out.insert(address.is_v4() ? bytes[2] * 250U + bytes[3] : bytes[13] * 250U + bytes[15]);
    }
    return out;
  }
};

TEST_F(Fit, Answer8_ASetThatDoesNotFitGoesOutInPartWithTc) {
  serve(500, false);
  const auto plain = ask("pg.db.svc", Type::kA);
  EXPECT_LE(plain.size, 512U);
  EXPECT_TRUE(plain.tc);
  EXPECT_GT(plain.records.size(), 20U);
  const auto edns = ask("pg.db.svc", Type::kA, 4096);
  EXPECT_LE(edns.size, 1232U);
  EXPECT_TRUE(edns.tc);
  EXPECT_GT(edns.records.size(), 60U);
  const auto srv = ask("_sql._tcp.pg.db.svc", Type::kSrv, 4096);
  EXPECT_LE(srv.size, 1232U);
  EXPECT_TRUE(srv.tc);
  EXPECT_GT(srv.records.size(), 10U);
  EXPECT_TRUE(srv.additional.empty());
  for (const auto type : {Type::kA, Type::kSrv}) {
    const auto all = ask_tcp("pg.db.svc", type);
    EXPECT_FALSE(all.tc);
    EXPECT_EQ(all.records.size(), 500U);
  }
}

TEST_F(Fit, Answer8_ASetThatJustFitsIsWhole) {
  // The question and the OPT take 12 + 33 + 11 bytes; an A record takes 16.
  serve((1232 - 56) / 16, false);
  EXPECT_FALSE(ask("pg.db.svc", Type::kA, 1232).tc);
  EXPECT_EQ(ask("pg.db.svc", Type::kA, 1232).records.size(), 73U);
  serve((1232 - 56) / 16 + 1, false);
  EXPECT_TRUE(ask("pg.db.svc", Type::kA, 1232).tc);
  EXPECT_EQ(ask("pg.db.svc", Type::kA, 1232).records.size(), 73U);
}

TEST_F(Fit, Answer8_PartsOfAAndAaaaAreOfTheSameEndpoints) {
  for (const bool headless : {true, false}) {
    const auto* name = headless ? "pg.db.svc" : "web.db.svc";
    serve(200, true, headless);
    std::set<std::set<unsigned>> parts;
    for (unsigned client = 0; client < 20; ++client) {
      for (const int size : {0, 1232}) {
        const auto v4 = ask_as(client * 7919, name, Type::kA, size, client);
        const auto v6 = ask_as(client * 7919, name, Type::kAaaa, size, client + 1);
        EXPECT_TRUE(v4.tc);
        EXPECT_TRUE(v6.tc);
        EXPECT_EQ(endpoints_of(v4.records), endpoints_of(v6.records));
        EXPECT_GE(v6.records.size(), size == 0 ? 15U : 40U);
        parts.insert(endpoints_of(v6.records));
      }
    }
    EXPECT_GT(parts.size(), 20U) << "clients share the endpoints among them";
  }
}

// Pods of a Deployment have no hostname. Their name is made of the address, so it differs per
// family.
TEST_F(Fit, Answer8_PartsOfAAndAaaaAreOfTheSamePodsWithoutHostnames) {
  auto big = export_of("east", true, 1);
  many_endpoints(*big, 1, 200, true);
  for (auto& endpoint : big->endpoints) {
    endpoint.pod = endpoint.hostname;
    endpoint.hostname = (endpoint.addresses[0].is_v4() ? "four-" : "six-") + endpoint.pod;
  }
  services = {merge({Claimant{big}})};
  build();
  const auto v4 = ask("pg.db.svc", Type::kA, 1232);
  const auto v6 = ask("pg.db.svc", Type::kAaaa, 1232);
  EXPECT_TRUE(v4.tc);
  EXPECT_TRUE(v6.tc);
  EXPECT_EQ(endpoints_of(v4.records), endpoints_of(v6.records));
}

TEST_F(Fit, Answer8_APartOfAServiceOfTwoClustersHasEndpointsOfBoth) {
  auto east = export_of("east", true, 1);
  auto west = export_of("west", true, 2);
  many_endpoints(*east, 1, 200);
  many_endpoints(*west, 2, 200);
  services = {merge({Claimant{east}, Claimant{west}})};
  build();
  unsigned wests = 0;
  const auto a = ask("pg.db.svc", Type::kA, 1232);
  for (const auto& text : a.records) wests += text.rfind("10.2.", 0) == 0 ? 1 : 0;
  EXPECT_GT(wests, 15U);
  EXPECT_LT(wests, 58U);
}

TEST_F(Fit, Answer8_SomeAddressesOfAnEndpointThatHasTooManyForOneMessage) {
  auto one = export_of("east", true, 1);
  many_endpoints(*one, 1, 300);
  for (auto& endpoint : one->endpoints) endpoint.hostname = "same";
  services = {merge({Claimant{one}})};
  build();
  for (const auto* name : {"pg.db.svc", "same.east.pg.db.svc"}) {
    const auto a = ask(name, Type::kA, 1232);
    EXPECT_TRUE(a.tc);
    EXPECT_GT(a.records.size(), 60U);
  }
}

// No transport has more room than TCP. The part that fits is the zone's subset (KEP-1645), the same
// for both families. A client that sees TC over TCP gives up (Go's resolver does).
TEST_F(Fit, Answer8_OverTcpASubsetIsAWholeAnswer) {
  serve(5000, true);
  const auto v4 = ask_tcp("pg.db.svc", Type::kA);
  const auto v6 = ask_tcp("pg.db.svc", Type::kAaaa);
  EXPECT_FALSE(v4.tc);
  EXPECT_FALSE(v6.tc);
  EXPECT_GT(v6.records.size(), 2300U);
  EXPECT_EQ(endpoints_of(v4.records), endpoints_of(v6.records));
  EXPECT_TRUE(ask("pg.db.svc", Type::kA, 1232).tc);
}

TEST_F(Fit, AdditionalAddressesOfSrvTargets) {
  const auto a = ask("_sql._tcp.pg.db.svc", Type::kSrv, 1232);
  std::set<std::string> got(a.additional.begin(), a.additional.end());
  EXPECT_EQ(got, (std::set<std::string>{"pg-0.east.pg.db.svc.clusterset.local. 10.1.0.5",
                                        "pg-0.east.pg.db.svc.clusterset.local. fd01::5",
                                        "10-2-0-5.west.pg.db.svc.clusterset.local. 10.2.0.5"}));
  EXPECT_EQ(got.size(), a.additional.size());
  EXPECT_EQ(ask("web.db.svc", Type::kSrv).additional,
            Strings{"web.db.svc.clusterset.local. 10.1.0.9"});
  EXPECT_TRUE(ask("pg.db.svc", Type::kA).additional.empty());
}

TEST_F(Fit, AdditionalTargetsWithSeveralPortsAreNamedOnce) {
  auto record = export_of("east", true, 1);
  record->ports = {{"a", "TCP", "", 1, ""}, {"b", "TCP", "", 2, ""}};
  record->port_sets = {{{"a", "TCP", "", 1}, {"b", "TCP", "", 2}}};
  for (int i = 0; i < 3; ++i) {
    endpoint(*record, ("10.1.0." + std::to_string(i)).c_str(), ("p-" + std::to_string(i)).c_str());
  }
  services = {merge({Claimant{record}})};
  build();
  for (unsigned rotate = 0; rotate < 6; ++rotate) {
    const auto a = ask_as(0, "pg.db.svc", Type::kSrv, 1232, rotate);
    EXPECT_EQ(a.records.size(), 6U);
    EXPECT_EQ(a.additional.size(), 3U);
  }
}

TEST_F(Fit, AdditionalAddressesOfTheNameServer) {
  EXPECT_EQ(ask("clusterset.local", Type::kNs).records.size(), 0U);  // a name below the zone
  const auto a = send(query_of("clusterset.local", Type::kNs));
  EXPECT_EQ(a.records, Strings{"ns.dns.clusterset.local."});
  EXPECT_EQ(a.additional, Strings{"ns.dns.clusterset.local. 10.1.0.53"});
}

TEST_F(Fit, AdditionalAddressesAreLeftOutWithoutTcWhereTheyDoNotFit) {
  // 17 SRV records of about 60 bytes leave no room for the addresses of all.
  serve(17, true);
  const auto a = ask("_sql._tcp.pg.db.svc", Type::kSrv, 1232);
  EXPECT_FALSE(a.tc);
  EXPECT_EQ(a.records.size(), 17U);
  EXPECT_LT(a.additional.size(), 34U);
  EXPECT_LE(a.size, 1232U);
  // Over TCP, names that a pointer cannot reach have no addresses there.
  serve(1000, false);
  const auto tcp = ask_tcp("_sql._tcp.pg.db.svc", Type::kSrv);
  EXPECT_EQ(tcp.records.size(), 1000U);
  EXPECT_GT(tcp.additional.size(), 200U);
  EXPECT_LT(tcp.additional.size(), 1000U);
  // A virtual name has none if its addresses do not fit beside its SRV record.
  serve(200, false, false);
  const auto web = ask("web.db.svc", Type::kSrv, 1232);
  EXPECT_FALSE(web.tc);
  EXPECT_EQ(web.records.size(), 1U);
  EXPECT_TRUE(web.additional.empty());
}

TEST(Serial, OnlyGrowsWhateverTheClockSays) {
  std::optional<std::uint32_t> last;
  const auto next = [&](std::uint32_t clock) { return *(last = dns::next_serial(last, clock)); };
  EXPECT_EQ(next(1000), 1000U);
  EXPECT_EQ(next(1000), 1001U);  // two tables in one second
  EXPECT_EQ(next(1001), 1002U);
  EXPECT_EQ(next(500), 1003U);  // the clock was set back
  EXPECT_EQ(next(2000), 2000U);
  last = 0xffffffff;
  EXPECT_EQ(next(0xfffffff0), 0U);  // RFC 1982
}

}  // namespace
}  // namespace cw::discovery
