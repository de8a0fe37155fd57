// The answers of a small authoritative server. The numbers are those of the answers in
// docs/protocol/dns.md.
#include "tests/discovery/dns_scene.h"

namespace cw::discovery {
namespace {

TEST_F(Zone, Answer1_AnswersAndScrapsAreDropped) {
  EXPECT_EQ(send(query_of("clusterset.local", Type::kSoa, 0, 0x8100)).size, 0U);
  EXPECT_EQ(send({1, 2, 3}).size, 0U);
}

TEST_F(Zone, Answer1_MalformedQuestionsAreFormerr) {
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

TEST_F(Zone, Answer2_OtherOpcodesAreNotimpWithTheHeaderOnly) {
  for (unsigned opcode = 1; opcode < 16; ++opcode) {
    const auto a = send(query_of("clusterset.local", Type::kA, 0, opcode << 11U));
    EXPECT_EQ(a.rcode, Rcode::kNotImp);
    EXPECT_EQ(a.size, 12U);
  }
}

TEST_F(Zone, Answer2_NotimpHasNoFlagOfTheQueryAndAnOptWhereTheQueryHadOne) {
  Bytes out(512);
  const auto notify = query_of("clusterset.local", Type::kSoa, 1232, 4U << 11U | 0x0100U);
  out.resize(dns::respond(table, notify, {}, out, counters));
  EXPECT_EQ(out[2], 0x80 | 4 << 3);  // QR and the opcode
  EXPECT_EQ(out.size(), 12U + 11U);
  EXPECT_TRUE(read_answer(out).opt);
}

TEST_F(Zone, Answers3And4And5_OtherClassesZonesAndTransfersAreRefused) {
  EXPECT_EQ(send(query_of("version.bind", Type::kTxt, 0, 0, 3)).rcode, Rcode::kRefused);
  const auto off = send(query_of("example.com", Type::kA));
  EXPECT_EQ(off.rcode, Rcode::kRefused);
  EXPECT_FALSE(off.aa);
  EXPECT_EQ(send(query_of("notclusterset.local", Type::kA)).rcode, Rcode::kRefused);
  for (const auto type : {Type::kAxfr, Type::kIxfr}) {
    EXPECT_EQ(send(query_of("clusterset.local", type), true).rcode, Rcode::kRefused);
  }
}

TEST_F(Zone, Answer6_AnyGetsOneSet) {
  EXPECT_EQ(ask("pg-0.east.pg.db.svc", Type::kAny).records, Strings{"10.1.0.5"});
  for (const unsigned dnssec : {43U, 46U, 47U, 48U}) {  // DS, RRSIG, NSEC, DNSKEY: unsigned zone
    const auto a = ask("pg.db.svc", static_cast<Type>(dnssec));
    EXPECT_EQ(a.rcode, Rcode::kNoError);
    EXPECT_TRUE(a.records.empty());
    EXPECT_EQ(a.authority, Strings{"SOA"});
  }
}

TEST_F(Zone, Answer7_EdnsIsAnsweredWithEdnsAndItsProblemsAreTold) {
  EXPECT_TRUE(ask("pg.db.svc", Type::kA, 1232).opt);
  EXPECT_FALSE(ask("pg.db.svc", Type::kA).opt);
  EXPECT_EQ(ask("pg.db.svc", Type::kA, 1).records.size(), 2U);  // less than 512 counts as 512
  auto option = query_of("pg.db.svc.clusterset.local", Type::kA, 1232);
  option[option.size() - 1] = 8;
  option[option.size() - 4] = 0x80;  // DO, and a flag unknown
  option[option.size() - 3] = 1;
  option.insert(option.end(), {0xfd, 0xe9, 0, 4, 1, 2, 3, 4});  // an option unknown
  Bytes out(1232);
  out.resize(dns::respond(table, option, {}, out, counters));
  EXPECT_EQ(read_answer(out).records.size(), 2U);
  const Bytes tail(out.end() - 11, out.end());
  EXPECT_EQ(tail, (Bytes{0, 0, 41, 0x04, 0xd0, 0, 0, 0x80, 0, 0, 0}));  // 1232, DO, no option
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

TEST_F(Zone, Answer10_TheQuestionIsEchoedToTheByte) {
  const auto query = query_of("pG-0.eAsT.pg.db.svc.ClusterSet.LOCAL", Type::kA);
  const auto a = send(query);
  EXPECT_EQ(a.question, Bytes(query.begin() + 12, query.end()));
  EXPECT_EQ(a.records.size(), 1U);
  Bytes out(512);
  out.resize(dns::respond(table, query, {}, out, counters));
  // The answer's owner points at the question, so the client's own case comes back there, too.
  EXPECT_EQ(out[query.size()], 0xc0);
  EXPECT_EQ(out[query.size() + 1], 0x0c);
  // Targets of SRV are written out (RFC 2782): read_answer() fails on a pointer there.
  EXPECT_EQ(ask("_sql._tcp.pg.db.svc", Type::kSrv).records.size(), 2U);
}

TEST_F(Zone, Answer7_OptionsMustBeWholeAndErrorsHaveAnOpt) {
  auto option = query_of("pg.db.svc.clusterset.local", Type::kA, 1232);
  option[option.size() - 1] = 4;
  option.insert(option.end(), {0, 10, 0, 9});  // a cookie of nine bytes, which are missing
  EXPECT_EQ(send(option).rcode, Rcode::kFormErr);
  option.insert(option.end(), 9, 0);  // after the OPT
  EXPECT_EQ(send(option).rcode, Rcode::kFormErr);
  option[query_of("pg.db.svc.clusterset.local", Type::kA).size() + 10] = 13;
  EXPECT_EQ(send(option).records.size(), 2U);
  // Messages with no question and with two, each with an OPT.
  Bytes none = {0x12, 0x34, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 0};
  EXPECT_EQ(send(none).rcode, Rcode::kFormErr);
  EXPECT_TRUE(send(none).opt);
  Bytes two = {0x12, 0x34, 1, 0, 0, 2, 0, 0, 0, 0, 0, 1};
  two.insert(two.end(), {1, 'a', 0, 0, 1, 0, 1, 0xc0, 12, 0, 1, 0, 1});
  two.insert(two.end(), {0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 0});
  EXPECT_EQ(send(two).rcode, Rcode::kFormErr);
  EXPECT_TRUE(send(two).opt);
}

// As knotd, nsd and named answer: RFC 8945, 5.2.1.
TEST_F(Zone, Answer7_ASignatureIsAnsweredWithBadkey) {
  const auto plain = query_of("pg.db.svc.clusterset.local", Type::kA, 1232);
  const Bytes tsig = {3, 'k', 'e', 'y', 0,   0, 250,  0,    255, 0, 0, 0, 0, 0,  26,  // head
                      4, 'h', 'm', 'a', 'c', 0, 0,    0,    1,   2, 3, 4, 1, 44,  // algorithm, time
                      0, 4,   9,   9,   9,   9, 0x12, 0x34, 0,   0, 0, 0};  // signature and on
  auto signature = plain;
  signature.insert(signature.end(), tsig.begin(), tsig.end());
  signature[11] = 2;
  const auto a = send(signature);
  EXPECT_EQ(a.rcode, Rcode::kNotAuth);
  EXPECT_TRUE(a.opt);
  EXPECT_EQ(a.additional, Strings{"key. TSIG hmac. 17"});
  EXPECT_LE(a.size, signature.size());
  // A TSIG is the last record; the message is complete.
  auto before = query_of("pg.db.svc.clusterset.local", Type::kA);
  before.insert(before.end(), tsig.begin(), tsig.end());
  before.insert(before.end(), plain.end() - 11, plain.end());
  before[11] = 2;
  EXPECT_EQ(send(before).rcode, Rcode::kFormErr);
  signature.pop_back();
  EXPECT_EQ(send(signature).rcode, Rcode::kFormErr);
}

TEST_F(Zone, Answer11_NegativeAnswersHaveTheSoaWithTheSmallerOfTtlAndMinimum) {
  for (const auto& [ttl, negative, want] :
       {std::array{5U, 2U, 2U}, {5U, 60U, 5U}, {3600U, 1800U, 1800U}}) {
    build({ttl, negative, {}});
    for (const auto* name : {"x.db.svc", "east.pg.db.svc"}) {
      const auto a = ask(name, Type::kA);
      EXPECT_EQ(a.authority, Strings{"SOA"});
      EXPECT_EQ(a.ttls, std::vector<unsigned>{want});
    }
  }
}

TEST_F(Zone, Answer11_NxdomainMeansThatNothingIsBelow) {
  // Every name that has records, and all names above them, exist.
  for (const auto* name : {"pg-0.east.pg.db.svc", "_sql._tcp.web.db.svc"}) {
    for (std::string at = name; !at.empty();
         at = at.substr(std::min(at.size(), at.find('.') + 1))) {
      EXPECT_EQ(ask(at, Type::kTxt).rcode, Rcode::kNoError) << at;
      if (at.find('.') == std::string::npos) break;
    }
  }
}

TEST_F(Zone, Answer12_RecordsOfASetHaveOneTtlAndTakeTurnsInFront) {
  std::set<std::string> first;
  for (unsigned turn = 0; turn < 4; ++turn) {
    Bytes out(512);
    const auto query = query_of("pg.db.svc.clusterset.local", Type::kA);
    out.resize(dns::respond(table, query, {false, false, turn}, out, counters));
    const auto a = read_answer(out);
    EXPECT_EQ(a.records.size(), 2U);
    EXPECT_EQ(a.ttls, (std::vector<unsigned>{5, 5}));
    first.insert(std::string(out.begin() + static_cast<std::ptrdiff_t>(query.size()) + 12,
                             out.begin() + static_cast<std::ptrdiff_t>(query.size()) + 16));
  }
  EXPECT_EQ(first.size(), 2U);
}

}  // namespace
}  // namespace cw::discovery
