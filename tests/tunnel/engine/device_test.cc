// Devices with real TUN interfaces and sockets between two network namespaces.
#include <arpa/inet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <random>
#include <set>
#include <thread>

#include "base/unique_fd.h"
#include "tests/tunnel/engine/hosts.h"
#include "tunnel/engine/uapi_server.h"

namespace cw::tunnel::engine {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr std::size_t kStream = 8U << 20U;
constexpr long kOwnWakeups = 100;  // sanitizers have threads of their own
#else
constexpr long kOwnWakeups = 6;
constexpr std::size_t kStream = 64U << 20U;
#endif

sockaddr_in at(const char* address, std::uint16_t port) {
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(port);
  inet_pton(AF_INET, address, &name.sin_addr);
  return name;
}
UniqueFd socket_in(TestHost& host, int type) {
  UniqueFd fd;
  host.in([&] { fd.reset(::socket(AF_INET, type | SOCK_CLOEXEC, 0)); });
  EXPECT_TRUE(bool(fd));
  const timeval limit{20, 0};
  (void)::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  (void)::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  return fd;
}
template <typename Name>
const sockaddr* any(const Name& name) {
  return reinterpret_cast<const sockaddr*>(&name);
}

// A connected pair of TCP sockets through the tunnel.
std::pair<UniqueFd, UniqueFd> tcp(TwoHosts& hosts, std::uint16_t port) {
  auto listener = socket_in(hosts.host[1], SOCK_STREAM);
  const auto name = at("10.9.0.2", port);
  EXPECT_EQ(::bind(listener.get(), any(name), sizeof name), 0);
  EXPECT_EQ(::listen(listener.get(), 1), 0);
  auto client = socket_in(hosts.host[0], SOCK_STREAM);
  EXPECT_EQ(::connect(client.get(), any(name), sizeof name), 0) << std::strerror(errno);
  UniqueFd server(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  EXPECT_TRUE(bool(server));
  return {std::move(client), std::move(server)};
}

// Sends `size` pseudo-random bytes and checks what arrives; false on any difference.
bool streams(int from, int to, std::size_t size) {
  std::thread sender([&] {
    std::mt19937 random(1);
    std::vector<std::uint32_t> chunk(16384);
    for (std::size_t sent = 0; sent < size; sent += chunk.size() * 4) {
      for (auto& word : chunk) word = static_cast<std::uint32_t>(random());
      const auto* bytes = reinterpret_cast<const char*>(chunk.data());
      for (std::size_t done = 0; done < chunk.size() * 4;) {
        const auto n = ::send(from, bytes + done, chunk.size() * 4 - done, MSG_NOSIGNAL);
        if (n <= 0) return;
        done += static_cast<std::size_t>(n);
      }
    }
  });
  std::mt19937 random(1);
  std::vector<std::uint32_t> got(16384);
  bool same = true;
  for (std::size_t read = 0; same && read < size; read += got.size() * 4) {
    const auto n = ::recv(to, got.data(), got.size() * 4, MSG_WAITALL);
    same = n == static_cast<ssize_t>(got.size() * 4);
    for (const auto word : got) same = same && word == static_cast<std::uint32_t>(random());
  }
  ::shutdown(to, SHUT_RDWR);
  sender.join();
  return same;
}

struct Case {
  const char* name;
  DeviceOptions options;
};
class DeviceWith : public testing::TestWithParam<Case> {};

TEST_P(DeviceWith, CarriesStreamsBothWays) {
  TwoHosts hosts(GetParam().options);
  auto [a, b] = tcp(hosts, 5001);
  EXPECT_TRUE(streams(a.get(), b.get(), kStream));
  auto [c, d] = tcp(hosts, 5002);
  EXPECT_TRUE(streams(d.get(), c.get(), kStream / 4));
  EXPECT_GT(hosts.peer(1).rx_bytes, kStream);
}

// UDP shows every reordering; TCP would hide it.
TEST_P(DeviceWith, NeverReordersAFlow) {
  TwoHosts hosts(GetParam().options);
  auto receiver = socket_in(hosts.host[1], SOCK_DGRAM);
  const auto name = at("10.9.0.2", 6000);
  ASSERT_EQ(::bind(receiver.get(), any(name), sizeof name), 0);
  const int buffer = 64 << 20;
  (void)::setsockopt(receiver.get(), SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer);
  auto sender = socket_in(hosts.host[0], SOCK_DGRAM);
  ASSERT_EQ(::connect(sender.get(), any(name), sizeof name), 0);
  constexpr std::uint32_t kCount = 40'000;
  std::atomic<bool> sent{false};
  std::thread sending([&] {
    std::mt19937 random(2);
    std::vector<char> bytes(1372);
    for (std::uint32_t i = 1; i <= kCount; ++i) {
      std::memcpy(bytes.data(), &i, sizeof i);
      // Runs of equal sizes, which are joined, with other sizes between them.
      const auto size = random() % 7 == 0 ? 4 + random() % 1369 : 1200;
      (void)::send(sender.get(), bytes.data(), size, 0);
      if (i % 400 == 0) std::this_thread::sleep_for(milliseconds(2));
    }
    sent = true;
  });
  std::uint32_t last = 0;
  std::uint32_t received = 0;
  std::uint32_t reordered = 0;
  for (;;) {
    pollfd ready{receiver.get(), POLLIN, 0};
    const bool last_look = sent;
    if (::poll(&ready, 1, 300) <= 0) {
      if (last_look) break;
      continue;
    }
    char bytes[2048];
    if (::recv(receiver.get(), bytes, sizeof bytes, 0) < 4) continue;
    std::uint32_t number = 0;
    std::memcpy(&number, bytes, sizeof number);
    reordered += number <= last ? 1 : 0;
    last = number;
    ++received;
  }
  sending.join();
  EXPECT_EQ(reordered, 0U);
  EXPECT_GT(received, kCount / 4);
}

INSTANTIATE_TEST_SUITE_P(
    Options, DeviceWith,
    testing::Values(Case{"Everything", {}}, Case{"FourWorkers", {.interface = {}, .workers = 4}},
                    Case{"NoTso", {.interface = {}, .tso = false}},
                    Case{"NoUso", {.interface = {}, .uso = false}},
                    Case{"NoGso", {.interface = {}, .gso = false}},
                    Case{"NoGro", {.interface = {}, .gro = false}},
                    Case{"Nothing",
                         {.interface = {}, .tso = false, .uso = false, .gso = false, .gro = false}},
                    Case{"OpenSsl", {.interface = {}, .aead = AeadChoice::kOpenSsl}}),
    [](const auto& one) { return one.param.name; });

TEST(Device, CostsNothingWhileIdle) {
  TwoHosts hosts;
  auto [a, b] = tcp(hosts, 5001);
  ASSERT_TRUE(streams(a.get(), b.get(), 65536));
  std::this_thread::sleep_for(milliseconds(300));
  const auto wakeups = [] {
    rusage usage{};
    (void)::getrusage(RUSAGE_SELF, &usage);
    return usage.ru_nvcsw;
  };
  const auto before = wakeups();
  std::this_thread::sleep_for(seconds(1));
  EXPECT_LE(wakeups() - before, kOwnWakeups);  // only this sleep, no polling
}

TEST(Device, Item56_TellsTheSenderThatNoPeerTakesAPacket) {
  TwoHosts hosts;
  auto fd = socket_in(hosts.host[0], SOCK_DGRAM);
  const int on = 1;
  ASSERT_EQ(::setsockopt(fd.get(), IPPROTO_IP, IP_RECVERR, &on, sizeof on), 0);
  const auto untaken = at("10.9.0.77", 9);
  ASSERT_EQ(::connect(fd.get(), any(untaken), sizeof untaken), 0);
  ASSERT_EQ(::send(fd.get(), "x", 1, 0), 1);
  char byte = 0;
  EXPECT_EQ(::recv(fd.get(), &byte, 1, 0), -1);
  EXPECT_EQ(errno, EHOSTUNREACH);
}

TEST(Device, Item7_StrangersGetNoAnswerAndDoNoHarm) {
  TwoHosts hosts;
  auto [a, b] = tcp(hosts, 5001);
  auto stranger = socket_in(hosts.host[0], SOCK_DGRAM);
  const auto port = at("192.0.2.2", 51820);
  ASSERT_EQ(::connect(stranger.get(), any(port), sizeof port), 0);
  std::atomic<bool> ends{false};
  std::thread flood([&] {
    std::mt19937 random(5);
    std::vector<std::uint8_t> bytes(1500);
    while (!ends) {
      for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
      for (const std::size_t size : {1UL, 31UL, 64UL, 92UL, 148UL, 1452UL}) {
        bytes[0] = static_cast<std::uint8_t>(1 + random() % 4);
        if (random() % 2 == 0) bytes[1] = bytes[2] = bytes[3] = 0;
        (void)::send(stranger.get(), bytes.data(), size, 0);
      }
    }
  });
  EXPECT_TRUE(streams(a.get(), b.get(), kStream / 8));
  ends = true;
  flood.join();
  std::this_thread::sleep_for(milliseconds(200));
  char byte = 0;
  EXPECT_EQ(::recv(stranger.get(), &byte, 1, MSG_DONTWAIT), -1);
  EXPECT_EQ(errno, EAGAIN);
}

TEST(Device, NoticesThatItsInterfaceWasDeleted) {
  TwoHosts hosts;
  EXPECT_FALSE(hosts.device[0]->gone());
  hosts.host[0].shell("ip link del wg0");
  hosts.device[0]->wait_gone();
  EXPECT_TRUE(hosts.device[0]->gone());
}

TEST(Device, ChangingThePortKeepsSessions) {
  TwoHosts hosts;
  auto [a, b] = tcp(hosts, 5001);
  ASSERT_TRUE(streams(a.get(), b.get(), 65536));
  const auto handshake = hosts.peer(1).last_handshake;
  auto [c, d] = tcp(hosts, 5002);
  uapi::SetRequest request;
  request.listen_port = 51999;
  hosts.host[0].in([&] { ASSERT_TRUE(hosts.device[0]->set(request)); });
  EXPECT_TRUE(streams(c.get(), d.get(), 1U << 20U));
  EXPECT_EQ(hosts.peer(1).endpoint->port, 51999);  // the peer roamed
  EXPECT_EQ(hosts.peer(1).last_handshake, handshake);
  // A taken port is refused, and nothing else of the request is done.
  auto taken = socket_in(hosts.host[0], SOCK_DGRAM);
  const auto name = at("0.0.0.0", 52000);
  ASSERT_EQ(::bind(taken.get(), any(name), sizeof name), 0);
  request.listen_port = 52000;
  request.private_key = Key();
  hosts.host[0].in([&] {
    const auto refused = hosts.device[0]->set(request);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::kExists);
    EXPECT_EQ(uapi_answer(*hosts.device[0], "set=1\nlisten_port=52000\n"), "errno=-98\n\n");
  });
  EXPECT_EQ(hosts.device[0]->settings().status.listen_port, 51999);
  EXPECT_FALSE(hosts.device[0]->settings().private_key.is_zero());
}

// The driver reads the device every second while the loop moves prefixes.
TEST(Device, AReadBesideMovesSeesWhatDoesNotMove) {
  TwoHosts hosts;
  auto& device = *hosts.device[0];
  uapi::SetRequest request;
  const std::array<Key, 2> others{Key::generate_private(hosts.random).public_key(),
                                  Key::generate_private(hosts.random).public_key()};
  std::set<Prefix> moving;
  for (unsigned n = 0; n < 1000; ++n) {
    moving.insert(
        *Prefix::parse("10.20." + std::to_string(n / 250) + "." + std::to_string(n % 250) + "/32"));
  }
  for (const auto& key : others) request.peers.emplace_back().key = key;
  for (unsigned n = 0; n < 5000; ++n) {
    request.peers[0].allowed_ips.push_back(
        {*Prefix::parse("10.21." + std::to_string(n / 250) + "." + std::to_string(n % 250) + "/32"),
         false});
  }
  hosts.host[0].in([&] { ASSERT_TRUE(device.set(request)); });
  std::atomic<bool> ends{false};
  std::atomic<int> bad{0};
  std::thread reading([&] {
    while (!ends) {
      const auto peers = device.settings().status.peers;
      const auto& all = peers.at(others[0]).allowed_ips;
      const auto fixed = std::count_if(
          all.begin(), all.end(), [&](const Prefix& prefix) { return moving.count(prefix) == 0; });
      if (peers.size() != 3 || fixed != 5000) ++bad;
    }
  });
  for (int round = 0; round < 40; ++round) {
    uapi::SetRequest move;
    auto& peer = move.peers.emplace_back();
    peer.key = others[static_cast<std::size_t>(round % 2)];
    for (const auto& prefix : moving) peer.allowed_ips.push_back({prefix, false});
    hosts.host[0].in([&] { EXPECT_TRUE(device.set(move)); });
  }
  ends = true;
  reading.join();
  EXPECT_EQ(bad, 0);
  const auto peers = device.settings().status.peers;
  EXPECT_EQ(peers.at(others[0]).allowed_ips.size(), 5000U);
  EXPECT_EQ(peers.at(others[1]).allowed_ips, moving);
}

TEST(Device, UpAndDownUnderTraffic) {
  for (int round = 0; round < 3; ++round) {
    TwoHosts hosts({.interface = {}, .workers = 3});
    auto fd = socket_in(hosts.host[0], SOCK_DGRAM);
    const auto there = at("10.9.0.2", 9);
    ASSERT_EQ(::connect(fd.get(), any(there), sizeof there), 0);
    std::atomic<bool> ends{false};
    std::thread sending([&] {
      char bytes[1000] = {};
      while (!ends) (void)::send(fd.get(), bytes, sizeof bytes, 0);
    });
    std::this_thread::sleep_for(milliseconds(50));
    for (int i = 0; i < 3; ++i) {
      hosts.host[1].shell("ip link set wg0 down && ip link set wg0 up");
      (void)hosts.device[0]->settings();
    }
    const auto end = static_cast<unsigned>(round % 2);
    hosts.host[end].in([&] { hosts.device[end].reset(); });
    ends = true;
    sending.join();
  }
}

}  // namespace
}  // namespace cw::tunnel::engine
