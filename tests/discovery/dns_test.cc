// DNS answers: the multicluster specification (D1-D9) and the answer matrix of a small
// authoritative server (M1-M13); numbers as in docs/protocol/dns.md.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <thread>

#include "base/unique_fd.h"
#include "discovery/dns/server.h"

namespace cw::discovery {
namespace {

using dns::Rcode;
using dns::Type;
using Bytes = std::vector<std::uint8_t>;

void put16(Bytes& out, unsigned value) {
  out.push_back(static_cast<std::uint8_t>(value >> 8U));
  out.push_back(static_cast<std::uint8_t>(value));
}

Bytes query_of(std::string_view name, Type type, int udp_size = 0, unsigned flags = 0x0100,
               unsigned klass = 1) {
  Bytes m;
  for (const auto value : {0x1234U, flags, 1U, 0U, 0U, udp_size != 0 ? 1U : 0U}) put16(m, value);
  while (!name.empty()) {
    const auto label = name.substr(0, name.find('.'));
    m.push_back(static_cast<std::uint8_t>(label.size()));
    m.insert(m.end(), label.begin(), label.end());
    name.remove_prefix(std::min(name.size(), label.size() + 1));
  }
  m.push_back(0);
  put16(m, static_cast<unsigned>(type));
  put16(m, klass);
  if (udp_size != 0) {
    m.push_back(0);
    for (const auto value : {41U, static_cast<unsigned>(udp_size), 0U, 0U, 0U}) put16(m, value);
  }
  return m;
}

struct Answer {
  Rcode rcode{};
  bool aa = false;
  bool tc = false;
  bool opt = false;
  std::size_t size = 0;
  std::vector<std::string> records;    // answer section, as text
  std::vector<std::string> authority;  // types
  Bytes question;
};

// An independent reader of what the server wrote; fails the test if it is malformed.
class Reader {
 public:
  explicit Reader(const Bytes& m) : m_(m) {}
  unsigned u16() {
    const unsigned v = static_cast<unsigned>(m_.at(at_)) << 8U | m_.at(at_ + 1);
    at_ += 2;
    return v;
  }
  std::string name(bool may_point = true) {
    std::string out;
    std::size_t back = 0;
    for (int jumps = 0;;) {
      const unsigned n = m_.at(at_++);
      if ((n & 0xc0U) == 0xc0U) {
        EXPECT_TRUE(may_point);
        EXPECT_LT(++jumps, 5);
        const auto to = (n & 0x3fU) << 8U | m_.at(at_++);
        if (back == 0) back = at_;
        at_ = to;
        continue;
      }
      if (n == 0) break;
      out.append(m_.begin() + static_cast<std::ptrdiff_t>(at_),
                 m_.begin() + static_cast<std::ptrdiff_t>(at_ + n));
      out += '.';
      at_ += n;
    }
    if (back != 0) at_ = back;
    return out;
  }
  std::string record(std::string* type_name = nullptr, bool* opt = nullptr) {
    (void)name();
    const auto type = static_cast<Type>(u16());
    (void)u16();
    at_ += 4;
    const auto length = u16();
    const auto end = at_ + length;
    std::string text;
    char buffer[64] = {};
    switch (type) {
      case Type::kA:
        text = inet_ntop(AF_INET, &m_.at(at_), buffer, sizeof buffer);
        break;
      case Type::kAaaa:
        text = inet_ntop(AF_INET6, &m_.at(at_), buffer, sizeof buffer);
        break;
      case Type::kSrv: {
        at_ += 4;
        const auto port = u16();
        text = std::to_string(port) + " " + name(false);
        break;
      }
      case Type::kTxt:
        text.assign(m_.begin() + static_cast<std::ptrdiff_t>(at_) + 1,
                    m_.begin() + static_cast<std::ptrdiff_t>(end));
        break;
      case Type::kSoa:
        text = "SOA";
        break;
      case Type::kNs:
        text = name();
        break;
      case Type::kOpt:
        if (opt != nullptr) *opt = true;
        break;
      default:
        ADD_FAILURE() << "type " << static_cast<int>(type);
    }
    if (type_name != nullptr) *type_name = text;
    at_ = end;
    return text;
  }
  [[nodiscard]] std::size_t at() const { return at_; }

 private:
  const Bytes& m_;
  std::size_t at_ = 0;
};

Answer read_answer(const Bytes& m) {
  Answer a;
  Reader r(m);
  EXPECT_EQ(r.u16(), 0x1234U);
  const auto flags = r.u16();
  a.rcode = static_cast<Rcode>(flags & 15U);
  a.aa = (flags & 0x0400U) != 0;
  a.tc = (flags & 0x0200U) != 0;
  EXPECT_NE(flags & 0x8000U, 0U);
  EXPECT_EQ(flags & 0x0080U, 0U) << "RA";
  const auto questions = r.u16();
  const auto answers = r.u16();
  const auto authorities = r.u16();
  const auto additional = r.u16();
  const auto start = r.at();
  for (unsigned i = 0; i < questions; ++i) {
    (void)r.name(false);
    (void)r.u16();
    (void)r.u16();
  }
  a.question.assign(m.begin() + static_cast<std::ptrdiff_t>(start),
                    m.begin() + static_cast<std::ptrdiff_t>(r.at()));
  for (unsigned i = 0; i < answers; ++i) a.records.push_back(r.record());
  for (unsigned i = 0; i < authorities; ++i) a.authority.push_back(r.record());
  for (unsigned i = 0; i < additional; ++i) (void)r.record(nullptr, &a.opt);
  EXPECT_EQ(r.at(), m.size()) << "trailing bytes";
  std::sort(a.records.begin(), a.records.end());
  a.size = m.size();
  return a;
}

std::shared_ptr<api::ExportRecord> export_of(const std::string& cluster, bool headless,
                                             int created) {
  auto record = std::make_shared<api::ExportRecord>();
  record->cluster = cluster;
  record->service = {"db", headless ? "pg" : "web"};
  record->exported_at = WallTime(std::chrono::seconds(created));
  record->headless = headless;
  record->ports = {{"sql", "TCP", "", 5432, ""}};
  record->target_ports = {{"sql", "TCP", "", 5433}};
  return record;
}

void endpoint(api::ExportRecord& record, const char* address, const char* host, bool ready = true) {
  record.endpoints.push_back({{*IpAddress::parse(address)}, host, "", ready});
}

class Zone : public testing::Test {
 protected:
  Zone() {
    auto east = export_of("east", true, 1);
    endpoint(*east, "10.1.0.5", "pg-0");
    endpoint(*east, "fd01::5", "pg-0");
    endpoint(*east, "10.1.0.6", "pg-1", false);
    auto west = export_of("west", true, 2);
    endpoint(*west, "10.2.0.5", "10-2-0-5");
    services.push_back(merge({east, west}));
    auto web = export_of("east", false, 1);
    endpoint(*web, "10.1.0.9", "w");
    services.push_back(merge({web}));
    auto empty = export_of("east", true, 1);
    empty->service.name = "empty";
    services.push_back(merge({empty}));
    build();
  }
  void build() {
    std::vector<dns::TableService> entries;
    for (const auto& service : services)
      entries.push_back({std::make_shared<MergedService>(service), stale, {}});
    table = dns::Table({5, 2, {*IpAddress::parse("10.1.0.53")}}, entries, 7);
  }
  Answer ask(const std::string& name, Type type, int udp_size = 0) {
    return send(query_of(name + ".clusterset.local", type, udp_size));
  }
  Answer send(const Bytes& query, bool tcp = false) {
    Bytes out(65535);
    const auto size = dns::respond(table, query, tcp, 0, out, counters);
    if (size == 0) return {};
    out.resize(size);
    return read_answer(out);
  }
  std::vector<MergedService> services;
  std::set<std::string> stale;
  dns::Table table;
  dns::ServerCounters counters;
};

using Strings = std::vector<std::string>;

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
  EXPECT_EQ(counters.rcodes[16], 1U);  // BADVERS
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
  dns::ServerCounters counters;
  Bytes out(512);
  out.resize(dns::respond(table, query_of("pg.db.svc.clusterset.local", Type::kA), false, 0, out,
                          counters));
  EXPECT_EQ(read_answer(out).rcode, Rcode::kServFail);
}

class Serving : public Zone {
 protected:
  Serving() {
    auto started = dns::Server::start(
        {{{*IpAddress::parse("127.0.0.1"), 0}}, 2, std::chrono::seconds(1), 8, 4});
    EXPECT_TRUE(started) << started.error().text;
    server = std::move(*started);
    server->publish(std::make_shared<dns::Table>(table));
  }
  [[nodiscard]] UniqueFd connect(int type) const {
    UniqueFd fd(::socket(AF_INET, type, 0));
    const timeval limit{3, 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    sockaddr_storage to{};
    const auto size = server->bound().front().to_sockaddr(to);
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&to), static_cast<socklen_t>(size)),
              0);
    return fd;
  }
  static void send_tcp(const UniqueFd& fd, const Bytes& message) {
    Bytes framed;
    put16(framed, static_cast<unsigned>(message.size()));
    framed.insert(framed.end(), message.begin(), message.end());
    ASSERT_EQ(::send(fd.get(), framed.data(), framed.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(framed.size()));
  }
  static Bytes receive_tcp(const UniqueFd& fd) {
    std::uint8_t length[2];
    if (::recv(fd.get(), length, 2, MSG_WAITALL) != 2) return {};
    Bytes out(static_cast<std::size_t>(length[0]) << 8U | length[1]);
    if (::recv(fd.get(), out.data(), out.size(), MSG_WAITALL) != static_cast<ssize_t>(out.size()))
      return {};
    return out;
  }
  std::unique_ptr<dns::Server> server;
  Bytes query = query_of("pg-0.east.pg.db.svc.clusterset.local", Type::kA);
};

TEST_F(Serving, AnswersOverUdpAndTcpAndSwapsTablesWhileServing) {
  const auto udp = connect(SOCK_DGRAM);
  for (int i = 0; i < 50; ++i) {
    ASSERT_EQ(::send(udp.get(), query.data(), query.size(), 0), static_cast<ssize_t>(query.size()));
    Bytes out(2000);
    const auto n = ::recv(udp.get(), out.data(), out.size(), 0);
    ASSERT_GT(n, 0);
    out.resize(static_cast<std::size_t>(n));
    EXPECT_EQ(read_answer(out).records, Strings{"10.1.0.5"});
    server->publish(std::make_shared<dns::Table>(table));
  }
  const auto tcp = connect(SOCK_STREAM);
  for (int i = 0; i < 3; ++i) send_tcp(tcp, query);  // pipelined
  for (int i = 0; i < 3; ++i) EXPECT_EQ(read_answer(receive_tcp(tcp)).records, Strings{"10.1.0.5"});
}

TEST_F(Serving, HostileTcpClientsDoNotKeepOthersWaiting) {
  std::vector<UniqueFd> slow;
  for (int i = 0; i < 3; ++i) {
    slow.push_back(connect(SOCK_STREAM));
    (void)::send(slow.back().get(), "\xff", 1, MSG_NOSIGNAL);  // half a length
  }
  const auto good = connect(SOCK_STREAM);
  send_tcp(good, query);
  EXPECT_EQ(read_answer(receive_tcp(good)).records, Strings{"10.1.0.5"});
  const auto fifth = connect(SOCK_STREAM);  // over the client's cap of four
  std::uint8_t byte = 0;
  EXPECT_EQ(::recv(fifth.get(), &byte, 1, 0), 0);
  EXPECT_EQ(::recv(slow.front().get(), &byte, 1, 0), 0);  // idle: closed after a second
  const auto huge = connect(SOCK_STREAM);
  send_tcp(huge, Bytes(65535, 0));
  EXPECT_EQ(read_answer(Bytes{0x12, 0x34, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0}).rcode, Rcode::kNoError);
  const auto after = connect(SOCK_STREAM);
  send_tcp(after, query);
  EXPECT_EQ(read_answer(receive_tcp(after)).records, Strings{"10.1.0.5"});
}

TEST_F(Serving, ATakenPortIsNamed) {
  const auto again = dns::Server::start({server->bound(), 1, std::chrono::seconds(1), 8, 4});
  // UDP shares its port with SO_REUSEPORT; TCP does not, and it is what tells.
  ASSERT_FALSE(again);
  EXPECT_NE(again.error().text.find(server->bound().front().to_string()), std::string::npos);
}

}  // namespace
}  // namespace cw::discovery
