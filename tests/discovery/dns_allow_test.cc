// The DNS server answers its own cluster's pods and nodes, and is no amplifier for others.
#include "discovery/mcs/view.h"
#include "tests/discovery/dns_scene.h"

namespace cw::discovery {
namespace {

const std::vector<Prefix> kOthersOnly{*Prefix::parse("192.0.2.0/24")};

TEST_F(Serving, AStrangerGetsNothingButRefusalsNoLargerThanItsQuery) {
  start({}, {}, "127.0.0.1", kOthersOnly);
  const auto udp = connect(SOCK_DGRAM);
  for (const auto type : {Type::kA, Type::kSrv, Type::kAny, Type::kTxt}) {
    for (const int size : {0, 1232, 4096}) {
      const auto question = query_of("pg.db.svc.clusterset.local", type, size);
      const auto answer = exchange(udp, question);
      ASSERT_FALSE(answer.empty());
      EXPECT_LE(answer.size(), question.size());
      const auto read = read_answer(answer);
      EXPECT_EQ(read.rcode, Rcode::kRefused);
      EXPECT_TRUE(read.records.empty());
    }
  }
}

TEST_F(Serving, AStrangersFloodIsRefusedAtABoundedRate) {
  start({}, {}, "127.0.0.1", kOthersOnly, 5);
  const auto udp = connect(SOCK_DGRAM, nullptr, std::chrono::milliseconds(200));
  for (int i = 0; i < 200; ++i) (void)::send(udp.get(), query.data(), query.size(), 0);
  int answers = 0;
  Bytes out(2000);
  while (::recv(udp.get(), out.data(), out.size(), 0) > 0) ++answers;
  EXPECT_GE(answers, 1);
  EXPECT_LE(answers, 4 * 5) << "two workers, and a second may end in between";
}

TEST_F(Serving, AStrangersTcpConnectionIsClosed) {
  start({}, {}, "127.0.0.1", kOthersOnly);
  const auto tcp = connect(SOCK_STREAM);
  send_tcp(tcp, query);
  EXPECT_TRUE(receive_tcp(tcp).empty());
}

TEST_F(Serving, ClientsComeAndGoWithTheCluster) {
  start({}, {}, "127.0.0.1", kOthersOnly);
  const auto udp = connect(SOCK_DGRAM);
  EXPECT_EQ(read_answer(exchange(udp, query)).rcode, Rcode::kRefused);
  server->allow({*Prefix::parse("127.0.0.0/8")});
  EXPECT_EQ(read_answer(exchange(udp, query)).records, Strings{"10.1.0.5"});
  server->allow({});
  EXPECT_EQ(read_answer(exchange(udp, query)).rcode, Rcode::kRefused);
}

TEST_F(Zone, ARefusalIsNeverLargerThanItsQueryWhateverThatIs) {
  for (std::size_t cut = 0; cut <= 80; ++cut) {
    auto question = query_of("pg.db.svc.clusterset.local", Type::kAny, 4096);
    question.resize(std::min(cut, question.size()));
    Bytes out(1232);
    EXPECT_LE(dns::respond(table, question, {false, false, 0, true}, out, counters),
              question.size());
  }
}

TEST(Clients, AreTheClustersPodsAndNodes) {
  Items<api::Node> nodes;
  auto node = std::make_shared<api::Node>();
  node->pod_cidrs = {*Prefix::parse("10.1.3.0/24"), *Prefix::parse("fd01:3::/64")};
  node->internal_ips = {*IpAddress::parse("192.0.2.3"), *IpAddress::parse("2001:db8::3")};
  nodes[{"", "n3"}] = node;
  const auto clients = clients_of(nodes);
  for (const auto* one : {"10.1.3.0/24", "fd01:3::/64", "192.0.2.3/32", "2001:db8::3/128"}) {
    EXPECT_NE(std::find(clients.begin(), clients.end(), *Prefix::parse(one)), clients.end()) << one;
  }
  EXPECT_EQ(clients.size(), 4U);
}

}  // namespace
}  // namespace cw::discovery
