// The contents of the zone: the multicluster DNS specification (D1-D9, docs/protocol/dns.md).
#include "tests/discovery/dns_scene.h"

namespace cw::discovery {
namespace {

TEST_F(Zone, D1_DnsVersion) { EXPECT_EQ(ask("dns-version", Type::kTxt).records, Strings{"1.0.0"}); }

TEST_F(Zone, D2_ClusterSetIpNamesAnswerWithReadyEndpointsWhereNothingBalancesAVip) {
  const auto a = ask("web.db.svc", Type::kA);
  EXPECT_EQ(a.records, Strings{"10.1.0.9"});
  EXPECT_TRUE(a.aa);
  services[1].spec.ips = {"10.96.0.7"};
  build();
  EXPECT_EQ(ask("web.db.svc", Type::kA).records, Strings{"10.96.0.7"});
}

TEST_F(Zone, D3_SrvOfANamedPort) {
  EXPECT_EQ(ask("_sql._tcp.web.db.svc", Type::kSrv).records,
            Strings{"5433 web.db.svc.clusterset.local."});
  EXPECT_EQ(ask("_sql._udp.web.db.svc", Type::kSrv).rcode, Rcode::kNxDomain);
}

TEST_F(Zone, D4_HeadlessNamesAnswerWithReadyEndpointsOfAllClusters) {
  EXPECT_EQ(ask("pg.db.svc", Type::kA).records, (Strings{"10.1.0.5", "10.2.0.5"}));
  EXPECT_EQ(ask("pg.db.svc", Type::kAaaa).records, Strings{"fd01::5"});
}

TEST_F(Zone, D4_NoReadyEndpointIsNxdomain) {
  const auto a = ask("empty.db.svc", Type::kA);
  EXPECT_EQ(a.rcode, Rcode::kNxDomain);
  EXPECT_EQ(a.authority, Strings{"SOA"});
}

TEST_F(Zone, D5_PodNamesAndDashedAddresses) {
  EXPECT_EQ(ask("pg-0.east.pg.db.svc", Type::kA).records, Strings{"10.1.0.5"});
  EXPECT_EQ(ask("PG-0.East.pg.DB.svc", Type::kAaaa).records, Strings{"fd01::5"});
  EXPECT_EQ(ask("10-2-0-5.west.pg.db.svc", Type::kA).records, Strings{"10.2.0.5"});
  EXPECT_EQ(ask("pg-1.east.pg.db.svc", Type::kA).rcode, Rcode::kNxDomain);  // not ready
  EXPECT_EQ(ask("w.east.web.db.svc", Type::kA).rcode, Rcode::kNxDomain);    // not headless
}

TEST_F(Zone, D6_SrvOfAHeadlessServiceNamesEachPod) {
  const auto want = Strings{"5433 10-2-0-5.west.pg.db.svc.clusterset.local.",
                            "5433 pg-0.east.pg.db.svc.clusterset.local."};
  EXPECT_EQ(ask("_sql._tcp.pg.db.svc", Type::kSrv).records, want);
  EXPECT_EQ(ask("pg.db.svc", Type::kSrv).records, want);  // D9: the bare name
}

TEST_F(Zone, D7_AddressesToNamesAreTheClustersOwnBusiness) {
  // Refused and not denied: a resolver that asks us by problem must not learn a false denial.
  const auto ptr = static_cast<Type>(12);
  for (const auto* name : {"5.0.1.10.in-addr.arpa", "7.0.96.10.in-addr.arpa", "1.0.d.f.ip6.arpa",
                           "web.db.svc.cluster.local"}) {
    const auto a = send(query_of(name, ptr));
    EXPECT_EQ(a.rcode, Rcode::kRefused) << name;
    EXPECT_FALSE(a.aa);
  }
  EXPECT_EQ(ask("web.db.svc", ptr).rcode, Rcode::kNoError);  // a name with other types only
  EXPECT_TRUE(ask("web.db.svc", ptr).records.empty());
}

TEST_F(Zone, D8_ClusterIdsAloneHaveNoRecords) {
  for (const auto type : {Type::kA, Type::kAaaa, Type::kSrv}) {
    const auto a = ask("east.pg.db.svc", type);
    EXPECT_EQ(a.rcode, Rcode::kNoError);  // an empty non-terminal (RFC 8020)
    EXPECT_TRUE(a.records.empty());
    EXPECT_EQ(a.authority, Strings{"SOA"});
  }
}

TEST_F(Zone, D9_TheBareNamesSrvSetIsTheDistinctTargetsAndPorts) {
  auto twice = [](const char* name, bool headless) {
    auto record = export_of("east", headless, 1);
    record->service.name = name;
    record->ports = {
        {"dns", "UDP", "", 53, ""}, {"dns-tcp", "TCP", "", 53, ""}, {"old", "TCP", "", 9, ""}};
    record->port_sets = {
        {{"dns", "UDP", "", 53}, {"dns-tcp", "TCP", "", 53}, {"old", "TCP", "", 9}}};
    endpoint(*record, "10.1.0.20", "a");
    endpoint(*record, "10.1.0.21", "b");
    return merge({Claimant{record}});
  };
  services = {twice("one", false), twice("many", true)};
  build();
  const auto z = std::string(".db.svc.clusterset.local.");
  EXPECT_EQ(ask("one.db.svc", Type::kSrv).records, (Strings{"53 one" + z, "9 one" + z}));
  EXPECT_EQ(ask("many.db.svc", Type::kSrv).records,
            (Strings{"53 a.east.many" + z, "53 b.east.many" + z, "9 a.east.many" + z,
                     "9 b.east.many" + z}));
  // Each named port has its own record.
  EXPECT_EQ(ask("_dns._udp.one.db.svc", Type::kSrv).records, Strings{"53 one" + z});
  EXPECT_EQ(ask("_dns-tcp._tcp.one.db.svc", Type::kSrv).records, Strings{"53 one" + z});
}

TEST_F(Zone, NodataAndNxdomainCarryTheSoaAndEmptyNonTerminalsExist) {
  for (const auto* name : {"svc", "db.svc", "_tcp.pg.db.svc"}) {
    EXPECT_EQ(ask(name, Type::kA).rcode, Rcode::kNoError) << name;
  }
  EXPECT_EQ(ask("web.db.svc", Type::kAaaa).rcode,
            Rcode::kNoError);  // a v4-only name: never NXDOMAIN
  for (const auto* name : {"x", "x.svc", "x.db.svc", "a.b.c.d.pg.db.svc"}) {
    const auto a = ask(name, Type::kA);
    EXPECT_EQ(a.rcode, Rcode::kNxDomain) << name;
    EXPECT_EQ(a.authority, Strings{"SOA"});
  }
}

TEST_F(Zone, StaleClustersLeaveUnlessAllAreStale) {
  stale = {"east"};
  build();
  EXPECT_EQ(ask("pg.db.svc", Type::kA).records, Strings{"10.2.0.5"});
  EXPECT_EQ(ask("web.db.svc", Type::kA).records, Strings{"10.1.0.9"});  // only east has endpoints
  stale = {"east", "west"};
  build();
  EXPECT_EQ(ask("pg.db.svc", Type::kA).records.size(), 2U);
}

// Caches keep a denial, and programs take it for permanent. A pod whose cluster is away may be back
// within a second.
TEST_F(Zone, APodOfAClusterThatIsAwayKeepsItsName) {
  stale = {"west"};
  build();
  EXPECT_EQ(ask("pg.db.svc", Type::kA).records, Strings{"10.1.0.5"});
  EXPECT_EQ(ask("10-2-0-5.west.pg.db.svc", Type::kA).records, Strings{"10.2.0.5"});
  EXPECT_EQ(ask("_sql._tcp.pg.db.svc", Type::kSrv).records.size(), 1U);
}

TEST_F(Zone, AnAwayClusterAnswersWhereTheOthersHaveNothing) {
  auto east = export_of("east", true, 1);
  endpoint(*east, "10.1.0.5", "pg-0", false);
  auto west = export_of("west", true, 2);
  endpoint(*west, "10.2.0.5", "pg-0");
  services = {merge({Claimant{east}, Claimant{west}})};
  stale = {"west"};
  build();
  EXPECT_EQ(ask("pg.db.svc", Type::kA).records, Strings{"10.2.0.5"});
}

TEST_F(Zone, NamesFollowPreferAndFailoverHeadlessOrNot) {
  const auto with = [this](std::map<std::string, std::string> wishes, bool east_ready = true) {
    services.clear();
    for (const bool headless : {true, false}) {
      auto east = export_of("east", headless, 1);
      endpoint(*east, "10.1.0.5", "pg-0", east_ready);
      east->annotations = wishes;
      auto west = export_of("west", headless, 2);
      endpoint(*west, "10.2.0.5", "pg-0");
      services.push_back(merge({Claimant{east, {}, true, true}, Claimant{west, {}}}));
    }
    build();
    return std::pair(ask("pg.db.svc", Type::kA).records, ask("web.db.svc", Type::kA).records);
  };
  const Strings east{"10.1.0.5"};
  const Strings west{"10.2.0.5"};
  const Strings both{"10.1.0.5", "10.2.0.5"};
  EXPECT_EQ(with({}), std::pair(both, both));
  EXPECT_EQ(with({{"causeway.dev/failover", "west,east"}}), std::pair(west, west));
  EXPECT_EQ(ask("_sql._tcp.pg.db.svc", Type::kSrv).records,
            Strings{"5433 pg-0.west.pg.db.svc.clusterset.local."});
  // A pod's own name leads to this pod, whichever cluster serves.
  EXPECT_EQ(ask("pg-0.east.pg.db.svc", Type::kA).records, east);
  EXPECT_EQ(with({{"causeway.dev/prefer", "local"}}), std::pair(east, east));
  EXPECT_EQ(with({{"causeway.dev/prefer", "local"}}, false), std::pair(west, west));
  local = "west";
  EXPECT_EQ(with({{"causeway.dev/prefer", "local"}}), std::pair(west, west));
  stale = {"west"};
  EXPECT_EQ(with({{"causeway.dev/failover", "west,east"}}), std::pair(east, east));
}

// kube-proxy, too, uses such endpoints if none is ready.
TEST_F(Zone, PodsThatTerminateAndStillServeAnswerWhileNoneIsReady) {
  const auto build_with = [this](bool west_ready) {
    services.clear();
    for (const bool headless : {true, false}) {
      auto east = export_of("east", headless, 1);
      east->endpoints = {{{*IpAddress::parse("10.1.0.5")}, "pg-0", "", false, true, true},
                         {{*IpAddress::parse("10.1.0.6")}, "pg-1", "", false, false, true},
                         {{*IpAddress::parse("10.1.0.7")}, "pg-2", "", false, false, false}};
      auto west = export_of("west", headless, 2);
      endpoint(*west, "10.2.0.5", "pg-0", west_ready);
      services.push_back(merge({Claimant{east}, Claimant{west}}));
    }
    build();
  };
  build_with(false);
  EXPECT_EQ(ask("pg.db.svc", Type::kA).records, Strings{"10.1.0.5"});
  EXPECT_EQ(ask("web.db.svc", Type::kA).records, Strings{"10.1.0.5"});
  EXPECT_EQ(ask("pg-0.east.pg.db.svc", Type::kA).records, Strings{"10.1.0.5"});
  EXPECT_EQ(ask("pg-1.east.pg.db.svc", Type::kA).rcode, Rcode::kNxDomain);
  build_with(true);
  EXPECT_EQ(ask("pg.db.svc", Type::kA).records, Strings{"10.2.0.5"});
  EXPECT_EQ(ask("web.db.svc", Type::kA).records, Strings{"10.2.0.5"});
  EXPECT_EQ(ask("pg-0.east.pg.db.svc", Type::kA).rcode, Rcode::kNxDomain);
}

TEST_F(Zone, SrvNamesAPodOnlyForThePortsThatItListensOn) {
  auto east = export_of("east", true, 1);
  east->ports = {{"a", "TCP", "", 1, ""}, {"b", "TCP", "", 2, ""}};
  east->port_sets = {{{"a", "TCP", "", 1001}}, {{"b", "TCP", "", 1002}}};
  endpoint(*east, "10.1.0.5", "x");
  endpoint(*east, "10.1.0.6", "y");
  east->endpoints[1].ports = 1;
  services = {merge({Claimant{east}})};
  build();
  EXPECT_EQ(ask("_a._tcp.pg.db.svc", Type::kSrv).records,
            Strings{"1001 x.east.pg.db.svc.clusterset.local."});
  EXPECT_EQ(ask("_b._tcp.pg.db.svc", Type::kSrv).records,
            Strings{"1002 y.east.pg.db.svc.clusterset.local."});
}

// The port of a headless Service is known by its name, that of a virtual IP by its number.
TEST_F(Zone, AnotherNumberForOnePortName) {
  services.clear();
  for (const bool headless : {true, false}) {
    auto east = export_of("east", headless, 1);
    endpoint(*east, "10.1.0.5", "pg-0");
    auto west = export_of("west", headless, 2);
    endpoint(*west, "10.2.0.5", "pg-0");
    west->ports[0].port = 15432;
    west->port_sets = {{{"sql", "TCP", "", 15433}}};
    services.push_back(merge({Claimant{east}, Claimant{west}}));
  }
  build();
  EXPECT_EQ(ask("_sql._tcp.pg.db.svc", Type::kSrv).records,
            (Strings{"15433 pg-0.west.pg.db.svc.clusterset.local.",
                     "5433 pg-0.east.pg.db.svc.clusterset.local."}));
  EXPECT_EQ(ask("web.db.svc", Type::kA).records, Strings{"10.1.0.5"});
}

TEST_F(Zone, APodWithoutAHostnameAnswersToItsOwnNameToo) {
  auto east = export_of("east", true, 1);
  endpoint(*east, "10.1.0.5", "10-1-0-5");
  east->endpoints[0].pod = "web-5d4f-x2";
  endpoint(*east, "10.1.0.6", "taken");
  endpoint(*east, "10.1.0.7", "10-1-0-7");
  east->endpoints[2].pod = "taken";
  services = {merge({Claimant{east}})};
  build();
  EXPECT_EQ(ask("web-5d4f-x2.east.pg.db.svc", Type::kA).records, Strings{"10.1.0.5"});
  EXPECT_EQ(ask("10-1-0-5.east.pg.db.svc", Type::kA).records, Strings{"10.1.0.5"});
  EXPECT_EQ(ask("taken.east.pg.db.svc", Type::kA).records, Strings{"10.1.0.6"});
  EXPECT_EQ(ask("pg.db.svc", Type::kSrv).records.size(), 3U);
}

TEST(EmptyTable, IsServfailUntilTheFirstSync) {
  const dns::Table table;
  dns::Counters counters;
  Bytes out(512);
  out.resize(
      dns::respond(table, query_of("pg.db.svc.clusterset.local", Type::kA), {}, out, counters));
  EXPECT_EQ(read_answer(out).rcode, Rcode::kServFail);
}

}  // namespace
}  // namespace cw::discovery
