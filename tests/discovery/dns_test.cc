// DNS answers: the multicluster specification (D1-D9) and the answer matrix of a small
// authoritative server (Answer1-Answer13); numbers as in docs/protocol/dns.md.
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

TEST_F(Zone, D8_ClusterIdsAloneHaveNoRecords) {
  for (const auto type : {Type::kA, Type::kAaaa, Type::kSrv}) {
    const auto a = ask("east.pg.db.svc", type);
    EXPECT_EQ(a.rcode, Rcode::kNoError);  // an empty non-terminal (RFC 8020)
    EXPECT_TRUE(a.records.empty());
    EXPECT_EQ(a.authority, Strings{"SOA"});
  }
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
  EXPECT_EQ(ask("web.db.svc", Type::kA).records, Strings{"10.1.0.9"});  // east is all it has
  stale = {"east", "west"};
  build();
  EXPECT_EQ(ask("pg.db.svc", Type::kA).records.size(), 2U);
}

TEST_F(Zone, M1_AnswersAndScrapsAreDropped) {
  EXPECT_EQ(send(query_of("clusterset.local", Type::kSoa, 0, 0x8100)).size, 0U);
  EXPECT_EQ(send({1, 2, 3}).size, 0U);
}

TEST_F(Zone, M1_MalformedQuestionsAreFormerr) {
  auto two = query_of("clusterset.local", Type::kA);
  two[5] = 2;
  EXPECT_EQ(send(two).rcode, Rcode::kFormErr);
  auto pointer = query_of("x", Type::kA);
  pointer[12] = 0xc0;
  EXPECT_EQ(send(pointer).rcode, Rcode::kFormErr);
  auto cut = query_of("clusterset.local", Type::kA);
  cut.resize(20);
  EXPECT_EQ(send(cut).rcode, Rcode::kFormErr);
}

TEST_F(Zone, M2_OtherOpcodesAreNotimpWithTheHeaderOnly) {
  for (unsigned opcode = 1; opcode < 16; ++opcode) {
    const auto a = send(query_of("clusterset.local", Type::kA, 0, opcode << 11U));
    EXPECT_EQ(a.rcode, Rcode::kNotImp);
    EXPECT_EQ(a.size, 12U);
  }
}

TEST_F(Zone, M3M4M5_OtherClassesZonesAndTransfersAreRefused) {
  EXPECT_EQ(send(query_of("version.bind", Type::kTxt, 0, 0, 3)).rcode, Rcode::kRefused);
  const auto off = send(query_of("example.com", Type::kA));
  EXPECT_EQ(off.rcode, Rcode::kRefused);
  EXPECT_FALSE(off.aa);
  EXPECT_EQ(send(query_of("notclusterset.local", Type::kA)).rcode, Rcode::kRefused);
  for (const auto type : {Type::kAxfr, Type::kIxfr}) {
    EXPECT_EQ(send(query_of("clusterset.local", type), true).rcode, Rcode::kRefused);
  }
}

TEST_F(Zone, M6_AnyGetsOneSet) {
  EXPECT_EQ(ask("pg-0.east.pg.db.svc", Type::kAny).records, Strings{"10.1.0.5"});
}

TEST_F(Zone, M7_EdnsIsAnsweredWithEdnsAndItsMistakesAreTold) {
  EXPECT_TRUE(ask("pg.db.svc", Type::kA, 1232).opt);
  EXPECT_FALSE(ask("pg.db.svc", Type::kA).opt);
  auto version = query_of("clusterset.local", Type::kA, 1232);
  version[version.size() - 5] = 1;
  EXPECT_TRUE(send(version).opt);
  EXPECT_EQ(counters.responses[0][16].get(), 1U);  // BADVERS
  auto twice = query_of("clusterset.local", Type::kA, 1232);
  const Bytes opt(twice.end() - 11, twice.end());
  twice.insert(twice.end(), opt.begin(), opt.end());
  twice[11] = 2;
  EXPECT_EQ(send(twice).rcode, Rcode::kFormErr);
}

TEST_F(Zone, M8_ManyAddressesGiveAPartThatFitsAndSrvGivesTc) {
  auto big = export_of("east", true, 1);
  for (unsigned i = 0; i < 500; ++i) {
    big->endpoints.push_back({{IpAddress::v4({10, 1, static_cast<std::uint8_t>(i / 250),
                                              static_cast<std::uint8_t>(i % 250)})},
                              "pg-" + std::to_string(i),
                              "",
                              true});
  }
  services[0] = merge({big});
  build();
  const auto plain = ask("pg.db.svc", Type::kA);
  EXPECT_LE(plain.size, 512U);
  EXPECT_FALSE(plain.tc);
  EXPECT_GT(plain.records.size(), 20U);
  const auto edns = ask("pg.db.svc", Type::kA, 4096);
  EXPECT_LE(edns.size, 1232U);
  EXPECT_GT(edns.records.size(), 60U);
  const auto srv = ask("_sql._tcp.pg.db.svc", Type::kSrv, 4096);
  EXPECT_TRUE(srv.tc);
  EXPECT_TRUE(srv.records.empty());
  EXPECT_EQ(send(query_of("_sql._tcp.pg.db.svc.clusterset.local", Type::kSrv), true).records.size(),
            500U);
}

TEST_F(Zone, M10_TheQuestionIsEchoedToTheByte) {
  const auto query = query_of("pG-0.eAsT.pg.db.svc.ClusterSet.LOCAL", Type::kA);
  const auto a = send(query);
  EXPECT_EQ(a.question, Bytes(query.begin() + 12, query.end()));
  EXPECT_EQ(a.records.size(), 1U);
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
