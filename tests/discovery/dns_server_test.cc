// The DNS server on loopback sockets.
#include <netinet/in.h>

#include "discovery/dns/udp.h"
#include "tests/discovery/dns_scene.h"

namespace cw::discovery {
namespace {

TEST_F(Serving, Answer9_TcpIsPipelinedAndARefusedTransferDoesNotCloseIt) {
  const auto tcp = connect(SOCK_STREAM);
  for (int round = 0; round < 2; ++round) {
    send_tcp(tcp, query);
    send_tcp(tcp, query_of("clusterset.local", Type::kAxfr));
    send_tcp(tcp, query_of("clusterset.local", Type::kIxfr));
    send_tcp(tcp, query);
    EXPECT_EQ(read_answer(receive_tcp(tcp)).records, Strings{"10.1.0.5"});
    EXPECT_EQ(read_answer(receive_tcp(tcp)).rcode, Rcode::kRefused);
    EXPECT_EQ(read_answer(receive_tcp(tcp)).rcode, Rcode::kRefused);
    EXPECT_EQ(read_answer(receive_tcp(tcp)).records, Strings{"10.1.0.5"});
  }
  // One byte at a time, and half-closed before the answer: still answered.
  Bytes framed;
  put16(framed, static_cast<unsigned>(query.size()));
  framed.insert(framed.end(), query.begin(), query.end());
  for (const auto byte : framed) ASSERT_EQ(::send(tcp.get(), &byte, 1, MSG_NOSIGNAL), 1);
  ASSERT_EQ(::shutdown(tcp.get(), SHUT_WR), 0);
  EXPECT_EQ(read_answer(receive_tcp(tcp)).records, Strings{"10.1.0.5"});
  std::uint8_t byte = 0;
  EXPECT_EQ(::recv(tcp.get(), &byte, 1, 0), 0);
}

TEST_F(Serving, Answer12_TheReplyComesFromTheAddressThatWasAsked) {
  start({}, {}, "0.0.0.0");
  const auto port = server->bound().front().port;
  for (const auto* address : {"127.0.0.1", "127.0.0.77", "127.5.6.7"}) {
    UniqueFd fd(::socket(AF_INET, SOCK_DGRAM, 0));
    const timeval limit{3, 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    sockaddr_storage to{};
    const auto size = Endpoint{*IpAddress::parse(address), port}.to_sockaddr(to);
    // A connected socket receives only from the address that it asked.
    ASSERT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&to), static_cast<socklen_t>(size)),
              0);
    EXPECT_EQ(read_answer(exchange(fd, query)).records, Strings{"10.1.0.5"}) << address;
  }
}

TEST_F(Serving, Answer13_NothingOver1232BytesLeavesAndNoPathGuessesFragmentIt) {
  auto big = export_of("east", true, 1);
  many_endpoints(*big, 9, 5000);
  services[0] = merge({Claimant{big}});
  build();
  server->publish(std::make_shared<dns::Table>(table));
  const auto udp = connect(SOCK_DGRAM);
  for (const auto type : {Type::kA, Type::kSrv, Type::kAny}) {
    for (const int size : {512, 1232, 1233, 4096, 65535}) {
      const auto answer = exchange(udp, query_of("pg.db.svc.clusterset.local", type, size));
      ASSERT_FALSE(answer.empty());
      EXPECT_LE(answer.size(), std::min<std::size_t>(static_cast<std::size_t>(size), 1232));
    }
  }
  const auto socket = dns::open_udp({*IpAddress::parse("127.0.0.1"), 0});
  ASSERT_TRUE(socket);
  int value = -1;
  socklen_t size = sizeof value;
  ASSERT_EQ(::getsockopt(socket->get(), IPPROTO_IP, IP_MTU_DISCOVER, &value, &size), 0);
  EXPECT_EQ(value, IP_PMTUDISC_OMIT);
}

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
  const auto fifth = connect(SOCK_STREAM);  // over the client's limit of four
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
  const auto again = dns::Server::start({server->bound(), 1, {}, {}, 1});
  // UDP sockets share a port with SO_REUSEPORT. TCP does not, so it detects the taken port.
  ASSERT_FALSE(again);
  EXPECT_NE(again.error().text.find(server->bound().front().to_string()), std::string::npos);
}

}  // namespace
}  // namespace cw::discovery
