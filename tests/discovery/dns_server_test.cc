// The DNS server on loopback sockets.
#include "tests/discovery/dns_scene.h"

namespace cw::discovery {
namespace {

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
  const auto again = dns::Server::start({server->bound(), 1, {}, {}, 1});
  // UDP shares its port with SO_REUSEPORT; TCP does not, and it is what tells.
  ASSERT_FALSE(again);
  EXPECT_NE(again.error().text.find(server->bound().front().to_string()), std::string::npos);
}

}  // namespace
}  // namespace cw::discovery
