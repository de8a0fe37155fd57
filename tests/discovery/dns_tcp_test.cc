// Which TCP connection is closed when there are too many. Also a forwarder that asks for a whole
// cluster, and a host that lacks a family.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cstddef>
#include <functional>

#include "discovery/dns/own_addresses.h"
#include "discovery/dns/tcp_clients.h"
#include "tests/discovery/dns_scene.h"

namespace cw::discovery {
namespace {

using dns::Clients;
using dns::Connection;
using std::chrono::milliseconds;
using std::chrono::seconds;

const IpAddress kForwarder = *IpAddress::parse("10.1.0.10");
const IpAddress kPod = *IpAddress::parse("10.1.0.20");

class ClientsTest : public testing::Test {
 protected:
  Connection* add(const IpAddress& client) { return clients.add(client, now, evicted); }
  Clients clients{{seconds(10), 8, 5, 1000}};
  Clients::Time now{seconds(100)};
  bool evicted = false;
};

TEST_F(ClientsTest, OverAllTheQuietestOfTheClientWithTheMostMakesRoom) {
  auto* pod = add(kPod);  // quiet for longest, but its client has only this one
  for (int i = 0; i < 4; ++i) ASSERT_NE(add(kForwarder), nullptr);
  const auto other = *IpAddress::parse("10.1.0.30");
  for (int i = 0; i < 3; ++i) ASSERT_NE(add(other), nullptr);
  EXPECT_FALSE(evicted);
  now += seconds(1);
  ASSERT_NE(add(*IpAddress::parse("10.1.0.40")), nullptr);
  EXPECT_TRUE(evicted);
  EXPECT_EQ(clients.size(), 8U);
  clients.record_activity(*pod, now);  // it still exists
  clients.forget_closed();
}

TEST_F(ClientsTest, OverOneClientItsOwnQuietestGoesUnlessItIsBusy) {
  std::vector<Connection*> own;
  for (int i = 0; i < 5; ++i) own.push_back(add(kForwarder));
  EXPECT_EQ(add(kForwarder), nullptr) << "each may have a query under way";
  now += seconds(2);
  clients.record_activity(*own[0], now);
  EXPECT_NE(add(kForwarder), nullptr);
  EXPECT_TRUE(evicted);
  EXPECT_EQ(clients.size(), 5U);
  now += seconds(9);
  EXPECT_EQ(clients.close_idle(now), 3U);  // all but the one that asked, and the new one
  now += seconds(1);
  EXPECT_EQ(clients.close_idle(now), 2U);
  EXPECT_EQ(clients.size(), 0U);
}

TEST_F(ClientsTest, OverTheMemoryTheLargestGoes) {
  auto* small = add(kPod);
  auto* large = add(kForwarder);
  small->in.reserve(200);
  EXPECT_EQ(clients.record_buffers(*small), 0U);
  large->out.reserve(700);
  EXPECT_EQ(clients.record_buffers(*large), 0U);
  EXPECT_EQ(clients.buffered(), 900U);
  small->in.reserve(400);
  EXPECT_EQ(clients.record_buffers(*small), 1U);
  EXPECT_EQ(clients.size(), 1U);
  EXPECT_EQ(clients.buffered(), 400U);
}

TEST_F(Serving, AForwarderThatOpensAConnectionForEachQueryIsAnswered) {
  start({}, {});
  std::vector<UniqueFd> open;
  for (int i = 0; i < 300; ++i) open.push_back(connect(SOCK_STREAM, "127.0.0.5"));
  for (const auto& fd : open) send_tcp(fd, query);
  int answered = 0;
  for (const auto& fd : open) answered += receive_tcp(fd).empty() ? 0 : 1;
  EXPECT_EQ(answered, 300);
}

TEST_F(Serving, AQueryOverOneKilobyteOverUdpIsAnswered) {
  start({}, {});
  const auto udp = connect(SOCK_DGRAM);
  const auto padded = [&](std::size_t size) {
    auto message = query_of("pg-0.east.pg.db.svc.clusterset.local", Type::kA, 1232);
    const auto option = size - message.size();
    message[message.size() - 2] = static_cast<std::uint8_t>(option >> 8U);
    message[message.size() - 1] = static_cast<std::uint8_t>(option);
    message.insert(message.end(), {0, 12, static_cast<std::uint8_t>((option - 4) >> 8U),
                                   static_cast<std::uint8_t>(option - 4)});  // RFC 7830
    message.resize(size);
    return message;
  };
  for (const std::size_t size : {1232U, 1281U, 2000U, 4096U}) {
    EXPECT_EQ(read_answer(exchange(udp, padded(size))).records, Strings{"10.1.0.5"}) << size;
  }
  EXPECT_EQ(read_answer(exchange(udp, padded(5000))).rcode, Rcode::kFormErr);
}

TEST_F(Serving, OverTheRateNoQueryOfOurClientsIsDropped) {
  dns::ResponseRateConfig rate;
  rate.per_second = 1;
  rate.burst = 10;
  start({}, rate);
  const auto udp = connect(SOCK_DGRAM, "127.0.0.2");
  int truncated = 0;
  for (int i = 0; i < 200; ++i) {
    const auto answer = exchange(udp, query);
    ASSERT_FALSE(answer.empty()) << i;
    EXPECT_LE(answer.size(), query.size() + 16);
    truncated += read_answer(answer).tc ? 1 : 0;
  }
  EXPECT_GE(truncated, 180);
}

// Runs as on a host with ipv6.disable=1. It needs a child process: a filter of system calls stays.
int without_ipv6(const std::function<int()>& body) {
  const auto child = ::fork();
  if (child == 0) {
    constexpr std::uint32_t kNoFamily = SECCOMP_RET_ERRNO | EAFNOSUPPORT;
    std::array<sock_filter, 7> code = {
        {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
         BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_socket, 0, 3),
         BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[0])),
         BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 0, 1), BPF_STMT(BPF_RET | BPF_K, kNoFamily),
         BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
         BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)}};
    const sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
      ::_exit(77);
    }
    ::_exit(body());
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(Families, AWildcardOfAFamilyThatTheHostLacksIsLeftOut) {
  const int result = without_ipv6([] {
    dns::ServerConfig config;
    config.listen = {*Endpoint::parse("0.0.0.0:0"), *Endpoint::parse("[::]:0")};
    auto both = dns::Server::start(config);
    for (int more = 0; more < 20 && !both; ++more) both = dns::Server::start(config);
    if (!both || (*both)->bound().size() != 1) return 1;
    config.listen = {*Endpoint::parse("[::]:0")};
    if (dns::Server::start(config)) return 2;  // there is no address to listen on
    config.listen = {*Endpoint::parse("0.0.0.0:0"), *Endpoint::parse("[::1]:0")};
    if (dns::Server::start(config)) return 3;  // a problem of the configuration
    return 0;
  });
  if (result == 77) GTEST_SKIP() << "no seccomp here";
  EXPECT_EQ(result, 0);
}

TEST(Families, BothWildcardsServeTheSamePort) {
  // Another process may take the free port first, in one of the two protocols.
  for (int attempt = 0; attempt < 20; ++attempt) {
    dns::ServerConfig config;
    config.listen = {*Endpoint::parse("0.0.0.0:0")};
    auto first = dns::Server::start(config);
    if (!first) continue;
    const auto port = (*first)->bound().front().port;
    first->reset();
    config.listen = {{*IpAddress::parse("0.0.0.0"), port}, {*IpAddress::parse("::"), port}};
    const auto both = dns::Server::start(config);
    if (!both) continue;
    EXPECT_EQ((*both)->bound().size(), 2U);
    return;
  }
  FAIL() << "no free port in 20 attempts";
}

TEST(OwnAddresses, AWildcardStandsForTheInterfacesOfItsFamily) {
  const auto addresses = [](std::vector<const char*> texts) {
    std::vector<IpAddress> out;
    for (const auto* text : texts) out.push_back(*IpAddress::parse(text));
    return out;
  };
  const auto host = addresses({"127.0.0.1", "10.1.0.9", "192.0.2.1", "169.254.1.1", "241.2.3.4",
                               "::1", "fe80::1", "fd00::9", "ff02::1"});
  const auto of = [&](std::vector<const char*> listen) {
    std::vector<Endpoint> at;
    for (const auto* text : listen) at.push_back(*Endpoint::parse(text));
    return dns::own_addresses(at, host);
  };
  EXPECT_EQ(of({"0.0.0.0:53"}), addresses({"10.1.0.9", "192.0.2.1"}));
  EXPECT_EQ(of({"[::]:53"}), addresses({"fd00::9"}));
  EXPECT_EQ(of({"0.0.0.0:53", "[::]:53"}), addresses({"10.1.0.9", "192.0.2.1", "fd00::9"}));
  EXPECT_EQ(of({"169.254.20.10:53"}), addresses({"169.254.20.10"}));
  const auto here = dns::interface_addresses();
  EXPECT_NE(std::find(here.begin(), here.end(), *IpAddress::parse("127.0.0.1")), here.end());
}

}  // namespace
}  // namespace cw::discovery
