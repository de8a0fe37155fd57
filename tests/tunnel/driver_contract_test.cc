// The contract of tunnel/driver.h, for every driver: the fake, wireguard-go over its socket, our
// own engine, and Linux's own. If this kernel has no WireGuard, e2e/qemu tests Linux's driver.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <thread>

#include "base/fake/sim_loop.h"
#include "tests/tunnel/driver_world.h"

namespace cw::tunnel {
namespace {

using std::chrono::milliseconds;

Prefix p(const std::string& text) { return *Prefix::parse(text); }
Endpoint at(const std::string& text) { return *Endpoint::parse(text); }

template <typename World>
class DriverContract : public testing::Test {
 protected:
  void SetUp() override {
    if (const auto why = World::missing(); !why.empty()) GTEST_SKIP() << why;
    world_ = std::make_unique<World>();
  }
  World& world() { return *world_; }
  Key key() { return Key::generate_private(random_); }

  DeviceSpec spec(std::uint16_t port = 0) {
    DeviceSpec out;
    out.private_key = key();
    out.listen_port = port;
    return out;
  }
  static DeviceStatus status(Driver& driver) {
    auto read = driver.read();
    EXPECT_TRUE(read) << read.error().text;
    return read ? *read : DeviceStatus{};
  }
  static void apply(Driver& driver, const DeviceSpec& spec) {
    const auto done = driver.apply(spec);
    EXPECT_TRUE(done) << done.error().text;
  }
  // The device has everything of `spec` that can be read back, and nothing else.
  static void expect_holds(Driver& driver, const DeviceSpec& spec) {
    const auto now = status(driver);
    EXPECT_EQ(now.public_key, spec.private_key.public_key());
    if (spec.listen_port != 0) {
      EXPECT_EQ(now.listen_port, spec.listen_port);
    }
    EXPECT_EQ(now.fwmark, spec.fwmark);
    ASSERT_EQ(now.peers.size(), spec.peers.size());
    for (const auto& [key, want] : spec.peers) {
      const auto found = now.peers.find(key);
      ASSERT_NE(found, now.peers.end());
      EXPECT_EQ(found->second.allowed_ips, want.allowed_ips);
      EXPECT_EQ(found->second.keepalive_seconds, want.keepalive_seconds);
      EXPECT_EQ(found->second.has_preshared_key, want.preshared_key.has_value());
      if (want.endpoint) {
        EXPECT_EQ(found->second.endpoint, want.endpoint);
      }
    }
  }

  SeededRandom random_{7};
  std::unique_ptr<World> world_;
};

using Worlds = testing::Types<FakeWorld, UapiWorld, EngineWorld, KernelWorld>;
class WorldNames {
 public:
  template <typename World>
  static std::string GetName(int) {
    if (std::is_same_v<World, FakeWorld>) return "Fake";
    if (std::is_same_v<World, EngineWorld>) return "Engine";
    return std::is_same_v<World, UapiWorld> ? "Uapi" : "Kernel";
  }
};
TYPED_TEST_SUITE(DriverContract, Worlds, WorldNames);

TYPED_TEST(DriverContract, AppliesAllThatASpecSays) {
  auto& driver = this->world().open("cwa");
  auto spec = this->spec(51901);
  spec.fwmark = 0x1f;
  PeerSpec v4;
  v4.endpoint = at("192.0.2.1:4500");
  v4.keepalive_seconds = 5;
  v4.preshared_key = Key::generate_preshared(this->random_);
  v4.allowed_ips = {p("10.1.0.0/16"), p("10.2.3.4/32"), p("0.0.0.0/0")};
  PeerSpec v6;
  v6.endpoint = at("[2001:db8::1]:51820");
  v6.allowed_ips = {p("fd00:1::/64"), p("fd00:2::5/128")};
  spec.peers[this->key().public_key()] = v4;
  spec.peers[this->key().public_key()] = v6;
  spec.peers[this->key().public_key()] = {};
  this->apply(driver, spec);
  this->expect_holds(driver, spec);
  this->apply(driver, spec);
  this->expect_holds(driver, spec);
}

TYPED_TEST(DriverContract, AppliesEveryKindOfChange) {
  auto& driver = this->world().open("cwa");
  auto spec = this->spec(51901);
  const auto one = this->key().public_key();
  const auto two = this->key().public_key();
  spec.peers[one].allowed_ips = {p("10.1.0.0/16"), p("10.2.0.0/16"), p("10.3.0.0/16")};
  spec.peers[two].allowed_ips = {p("10.4.0.0/16")};
  this->apply(driver, spec);

  // A move, a loss and a gain of prefixes. Secrets, numbers and peers come and go.
  spec.peers[one].allowed_ips = {p("10.1.0.0/16"), p("10.5.0.0/16")};
  spec.peers[two].allowed_ips = {p("10.2.0.0/16"), p("10.4.0.0/16")};
  spec.peers[one].preshared_key = Key::generate_preshared(this->random_);
  spec.peers[one].keepalive_seconds = 7;
  spec.peers[two].endpoint = at("192.0.2.9:1000");
  this->apply(driver, spec);
  this->expect_holds(driver, spec);

  spec.listen_port = 51902;
  spec.fwmark = 3;
  spec.peers[one].preshared_key.reset();
  spec.peers[one].keepalive_seconds = 0;
  spec.peers[two].endpoint = at("[2001:db8::9]:1001");
  this->apply(driver, spec);
  this->expect_holds(driver, spec);

  spec.private_key = this->key();
  spec.fwmark = 0;
  spec.peers.erase(one);
  spec.peers[this->key().public_key()].allowed_ips = {p("10.1.0.0/16")};
  this->apply(driver, spec);
  this->expect_holds(driver, spec);

  spec.peers.clear();
  this->apply(driver, spec);
  this->expect_holds(driver, spec);
}

TYPED_TEST(DriverContract, ManyPeersWithManyAllowedIps) {
  auto& driver = this->world().open("cwa");
  auto spec = this->spec();
  for (int peer = 0; peer < 150; ++peer) {
    auto& one = spec.peers[this->key().public_key()];
    for (int i = 0; i < 100; ++i) {
      one.allowed_ips.insert(p("10." + std::to_string(peer) + "." + std::to_string(i) + ".0/24"));
    }
    one.allowed_ips.insert(p("fd00:" + std::to_string(peer) + "::/64"));
  }
  this->apply(driver, spec);
  this->expect_holds(driver, spec);
  // All prefixes of one peer go to another: a prefix has one owner.
  auto& from = spec.peers.begin()->second.allowed_ips;
  auto& to = spec.peers.rbegin()->second.allowed_ips;
  to.insert(from.begin(), from.end());
  from.clear();
  this->apply(driver, spec);
  this->expect_holds(driver, spec);
}

TYPED_TEST(DriverContract, MovesPrefixesOnly) {
  auto& driver = this->world().open("cwa");
  auto spec = this->spec();
  const auto one = this->key().public_key();
  const auto two = this->key().public_key();
  spec.peers[one].allowed_ips = {p("10.1.0.0/16"), p("10.2.0.0/16")};
  spec.peers[one].keepalive_seconds = 9;
  spec.peers[two].allowed_ips = {p("10.3.0.0/16")};
  this->apply(driver, spec);
  ASSERT_TRUE(driver.move_allowed_ips(two, {p("10.1.0.0/16")}));
  spec.peers[one].allowed_ips = {p("10.2.0.0/16")};
  spec.peers[two].allowed_ips = {p("10.1.0.0/16"), p("10.3.0.0/16")};
  this->expect_holds(driver, spec);
  // A prefix never moves to a missing peer, and a move never makes a peer.
  EXPECT_FALSE(driver.move_allowed_ips(this->key().public_key(), {p("10.1.0.0/16")}));
  this->expect_holds(driver, spec);
}

TYPED_TEST(DriverContract, ASpecThatIsOlderThanAMoveChangesNothing) {
  auto& driver = this->world().open("cwa");
  auto spec = this->spec();
  const auto one = this->key().public_key();
  const auto two = this->key().public_key();
  spec.peers[one].allowed_ips = {p("10.1.0.0/16")};
  spec.peers[two].allowed_ips = {p("10.2.0.0/16")};
  this->apply(driver, spec);
  auto older = spec;
  older.peers[one].allowed_ips.insert(p("10.3.0.0/16"));
  ASSERT_TRUE(driver.move_allowed_ips(two, {p("10.1.0.0/16")}));
  EXPECT_EQ(driver.moves(), spec.moves + 1);
  const auto done = driver.apply(older);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Errc::kConflict);
  auto now = spec;
  now.peers[one].allowed_ips = {};
  now.peers[two].allowed_ips = {p("10.1.0.0/16"), p("10.2.0.0/16")};
  this->expect_holds(driver, now);
  ASSERT_TRUE(driver.recreate_peer(one));
  ASSERT_TRUE(driver.recreate_peer(two));
  this->expect_holds(driver, now);
  older.moves = driver.moves();
  this->apply(driver, older);
  this->expect_holds(driver, older);
}

TYPED_TEST(DriverContract, TakesOverADeviceAndItsPeers) {
  auto& before = this->world().open("cwa");
  auto spec = this->spec(51901);
  const auto stays = this->key().public_key();
  const auto goes = this->key().public_key();
  spec.peers[stays].allowed_ips = {p("10.1.0.0/16")};
  spec.peers[stays].endpoint = at("192.0.2.1:1");
  spec.peers[goes].allowed_ips = {p("10.2.0.0/16")};
  this->apply(before, spec);
  auto& after = this->world().reopen("cwa");
  spec.peers.erase(goes);
  spec.peers[stays].allowed_ips.insert(p("10.2.0.0/16"));
  this->apply(after, spec);
  this->expect_holds(after, spec);
}

TYPED_TEST(DriverContract, RecreatesAPeerWithItsSettings) {
  auto& driver = this->world().open("cwa");
  auto spec = this->spec();
  const auto one = this->key().public_key();
  spec.peers[one].allowed_ips = {p("10.1.0.0/16")};
  spec.peers[one].endpoint = at("192.0.2.1:1");
  spec.peers[one].preshared_key = Key::generate_preshared(this->random_);
  spec.peers[one].keepalive_seconds = 3;
  this->apply(driver, spec);
  const auto done = driver.recreate_peer(one);
  ASSERT_TRUE(done) << done.error().text;
  this->expect_holds(driver, spec);
  EXPECT_FALSE(driver.recreate_peer(this->key().public_key()));
}

TYPED_TEST(DriverContract, RemoveLeavesNothingAndIsIdempotent) {
  auto& driver = this->world().open("cwa");
  this->apply(driver, this->spec());
  ASSERT_TRUE(driver.remove());
  EXPECT_FALSE(driver.read());
  ASSERT_TRUE(driver.remove());
  if (TypeParam::kReal) run("! ip link show cwa 2>/dev/null");
  if (TypeParam::kReal) run("test -z \"$(ls /run/wireguard)\"");
  const auto again = this->spec(51901);
  this->apply(driver, again);
  this->expect_holds(driver, again);
}

// --- real devices only: sessions and packets ---

template <typename World>
class DriverSessions : public DriverContract<World> {
 protected:
  // Two devices of one host, joined over loopback: cwa at port 51901, cwb at 51902.
  void join(bool same_secret = true) {
    a_ = &this->world().open("cwa");
    b_ = &this->world().open("cwb");
    sa_ = this->spec(51901);
    sb_ = this->spec(51902);
    kb_ = sb_.private_key.public_key();
    ka_ = sa_.private_key.public_key();
    const auto secret = Key::generate_preshared(this->random_);
    auto& to_b = sa_.peers[kb_];
    to_b.endpoint = at("127.0.0.1:51902");
    to_b.allowed_ips = {p("10.9.2.0/24")};
    to_b.preshared_key = secret;
    auto& to_a = sb_.peers[ka_];
    to_a.allowed_ips = {p("10.9.1.0/24")};
    to_a.preshared_key = same_secret ? secret : Key::generate_preshared(this->random_);
    this->apply(*a_, sa_);
    this->apply(*b_, sb_);
    run("ip link set cwa up");
    run("ip link set cwb up");
    run("ip addr add 10.9.1.1/24 dev cwa");
    run("ip route add 10.9.2.0/24 dev cwa");
  }
  // One datagram to 10.9.2.<last> through cwa.
  static void send(int last = 2) {
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ASSERT_GE(fd, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(9);
    to.sin_addr.s_addr = htonl(0x0a090200U + static_cast<unsigned>(last));
    const char text[100] = "datagram";
    (void)sendto(fd, text, sizeof text, 0, reinterpret_cast<sockaddr*>(&to), sizeof to);
    close(fd);
  }
  std::uint64_t received() { return this->status(*b_).peers[ka_].rx_bytes; }
  // Sends until cwb has received data; false after `limit`.
  bool flows(milliseconds limit = milliseconds(8000)) {
    const auto before = received();
    const auto end = std::chrono::steady_clock::now() + limit;
    while (std::chrono::steady_clock::now() < end) {
      send();
      std::this_thread::sleep_for(milliseconds(20));
      // A handshake alone is 148 bytes; the message of the datagram is 160.
      if (received() >= before + 160) return true;
    }
    return false;
  }

  Driver* a_ = nullptr;
  Driver* b_ = nullptr;
  DeviceSpec sa_, sb_;
  Key ka_, kb_;
};
using RealWorlds = testing::Types<UapiWorld, EngineWorld, KernelWorld>;
TYPED_TEST_SUITE(DriverSessions, RealWorlds, WorldNames);

TYPED_TEST(DriverSessions, ReconfiguringKeepsSessionsThatDidNotChange) {
  this->join();
  ASSERT_TRUE(this->flows());
  const auto handshake = this->status(*this->a_).peers[this->kb_].last_handshake;
  ASSERT_GT(handshake.time_since_epoch().count(), 0);
  for (int i = 0; i < 5; ++i) {
    for (int n = 0; n < 20; ++n) {
      this->sa_.peers[this->key().public_key()].allowed_ips = {
          p("10.20." + std::to_string(20 * i + n) + ".0/24")};
    }
    this->sa_.peers[this->kb_].allowed_ips.insert(p("10.30." + std::to_string(i) + ".0/24"));
    this->apply(*this->a_, this->sa_);
    ASSERT_TRUE(this->flows(milliseconds(1000)));
  }
  std::erase_if(this->sa_.peers, [&](const auto& peer) { return peer.first != this->kb_; });
  this->sa_.peers[this->kb_].allowed_ips = {p("10.9.2.0/24")};
  this->apply(*this->a_, this->sa_);
  ASSERT_TRUE(this->flows(milliseconds(1000)));
  EXPECT_EQ(this->status(*this->a_).peers[this->kb_].last_handshake, handshake);
}

TYPED_TEST(DriverSessions, ATakenOverDeviceKeepsItsSession) {
  if (!TypeParam::kOutlivesDriver) return;  // no device outlives its driver
  this->join();
  ASSERT_TRUE(this->flows());
  const auto handshake = this->status(*this->a_).peers[this->kb_].last_handshake;
  auto& after = this->world().reopen("cwa");
  this->sa_.peers[this->kb_].preshared_key.reset();
  this->sa_.peers[this->kb_].preshared_key = this->sb_.peers[this->ka_].preshared_key;
  this->apply(after, this->sa_);
  ASSERT_TRUE(this->flows(milliseconds(1000)));
  EXPECT_EQ(this->status(after).peers[this->kb_].last_handshake, handshake);
}

TYPED_TEST(DriverSessions, AMovedPrefixGoesToItsNewPeerAtOnce) {
  this->join();
  ASSERT_TRUE(this->flows());
  const auto silent = this->key().public_key();
  this->sa_.peers[silent].endpoint = at("127.0.0.1:9");
  this->apply(*this->a_, this->sa_);
  ASSERT_TRUE(this->a_->move_allowed_ips(silent, {p("10.9.2.0/24")}));
  EXPECT_FALSE(this->flows(milliseconds(500)));
  ASSERT_TRUE(this->a_->move_allowed_ips(this->kb_, {p("10.9.2.0/24")}));
  EXPECT_TRUE(this->flows(milliseconds(1000)));
}

TYPED_TEST(DriverSessions, AWrongPresharedKeyGetsNothing) {
  this->join(false);
  EXPECT_FALSE(this->flows(milliseconds(1500)));
  EXPECT_EQ(this->status(*this->b_).peers[this->ka_].last_handshake.time_since_epoch().count(), 0);
}

TYPED_TEST(DriverSessions, ASourceOutsideTheAllowedIpsIsDropped) {
  this->join();
  ASSERT_TRUE(this->flows());
  this->sb_.peers[this->ka_].allowed_ips = {p("10.9.77.0/24")};
  this->apply(*this->b_, this->sb_);
  std::this_thread::sleep_for(milliseconds(100));  // packets of flows() may still be under way
  run("grep cwb: /proc/net/dev | awk '{print $3}' >/run/wireguard/before");
  for (int i = 0; i < 5; ++i) this->send();
  std::this_thread::sleep_for(milliseconds(200));
  run("grep cwb: /proc/net/dev | awk '{print $3}' | cmp - /run/wireguard/before");
}

TYPED_TEST(DriverSessions, ATakenPortIsAnErrorThatLaterHeals) {
  auto& driver = this->world().open("cwa");
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_in here{};
  here.sin_family = AF_INET;
  here.sin_port = htons(51901);
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&here), sizeof here), 0);
  auto spec = this->spec(51901);
  spec.peers[this->key().public_key()].allowed_ips = {p("10.1.0.0/16")};
  const auto up = [] { run("ip link set cwa up"); };
  auto first = driver.apply(spec);
  if (first) {  // a device that is down opens no port yet: the kernel refuses it at `up`,
                // wireguard-go at the next apply()
    const bool refused = std::system("ip link set cwa up 2>/dev/null") != 0;
    first = driver.apply(spec);
    EXPECT_TRUE(refused || !first);
  }
  close(fd);
  this->apply(driver, spec);
  up();
  this->expect_holds(driver, spec);
}

TYPED_TEST(DriverSessions, ALinkOfAnotherKindIsLeftAlone) {
  run("ip link add cwa type veth peer name cwz");
  auto& driver = this->world().open("cwa");
  EXPECT_FALSE(driver.apply(this->spec()));
  EXPECT_FALSE(driver.remove());
  run("ip link show cwa type veth | grep -q cwa");
}

}  // namespace
}  // namespace cw::tunnel
