// From a device's state to the wanted state: the smallest change, which touches nothing that is
// right.
#include "tunnel/diff.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "base/fake/sim_loop.h"

namespace cw::tunnel {
namespace {

Prefix p(const std::string& text) { return *Prefix::parse(text); }
Endpoint at(const char* text) { return *Endpoint::parse(text); }
Key key(std::uint64_t seed) {
  SeededRandom random(seed);
  return Key::generate_private(random);
}
const Key kOne = key(1).public_key();
const Key kTwo = key(2).public_key();

// Applies a change as a device does: the order of peers and the meaning of every field.
void enact(const DeviceChange& change, DeviceStatus& device) {
  if (change.private_key) device.public_key = change.private_key->public_key();
  if (change.listen_port) device.listen_port = *change.listen_port;
  if (change.fwmark) device.fwmark = *change.fwmark;
  for (const auto& peer : change.peers) {
    if (peer.remove) {
      device.peers.erase(peer.key);
      continue;
    }
    ASSERT_EQ(device.peers.count(peer.key), peer.add ? 0U : 1U);
    auto& status = device.peers[peer.key];
    if (peer.replace_allowed_ips) status.allowed_ips.clear();
    for (const auto& prefix : peer.allowed_ips) {
      for (auto& [other, entry] : device.peers) entry.allowed_ips.erase(prefix);
      device.peers[peer.key].allowed_ips.insert(prefix);
    }
    if (peer.endpoint) status.endpoint = peer.endpoint;
    if (peer.keepalive_seconds) status.keepalive_seconds = *peer.keepalive_seconds;
    if (peer.preshared_key) status.has_preshared_key = !peer.preshared_key->is_zero();
  }
}

class Diffing : public testing::Test {
 protected:
  Diffing() {
    spec_.private_key = key(9);
    spec_.listen_port = 4500;
    spec_.peers[kOne].allowed_ips = {p("10.1.0.0/16"), p("10.2.0.0/16")};
    spec_.peers[kOne].endpoint = at("192.0.2.1:1");
    spec_.peers[kTwo].allowed_ips = {p("10.3.0.0/16")};
    settle();
  }
  DeviceChange change() const { return change_of(device_, spec_, applied_); }
  void settle() {
    enact(change(), device_);
    applied_ = applied_of(spec_, applied_);
  }
  DeviceSpec spec_;
  DeviceStatus device_;
  Applied applied_;
};

TEST_F(Diffing, NothingWhereAllIsRight) { EXPECT_TRUE(change().empty()); }

TEST_F(Diffing, AMoveNamesOnlyTheNewOwnerSoThatThereIsNoGap) {
  spec_.peers[kOne].allowed_ips = {p("10.1.0.0/16")};
  spec_.peers[kTwo].allowed_ips.insert(p("10.2.0.0/16"));
  const auto change = this->change();
  ASSERT_EQ(change.peers.size(), 1U);
  EXPECT_EQ(change.peers[0].key, kTwo);
  EXPECT_FALSE(change.peers[0].replace_allowed_ips);
  EXPECT_EQ(change.peers[0].allowed_ips, std::set<Prefix>{p("10.2.0.0/16")});
}

TEST_F(Diffing, ALossReplacesThatPeersSetAfterAllMoves) {
  spec_.peers[kOne].allowed_ips.clear();  // 10.1 to no peer, 10.2 to peer two
  spec_.peers[kTwo].allowed_ips.insert(p("10.2.0.0/16"));
  const auto change = this->change();
  ASSERT_EQ(change.peers.size(), 2U);
  EXPECT_EQ(change.peers[0].key, kTwo);
  EXPECT_TRUE(change.peers[1].replace_allowed_ips);
  EXPECT_TRUE(change.peers[1].allowed_ips.empty());
}

TEST_F(Diffing, RemovalsComeFirstSoThatAKeyChangeFreesItsPrefixes) {
  spec_.peers[key(3).public_key()].allowed_ips = spec_.peers[kTwo].allowed_ips;
  spec_.peers.erase(kTwo);
  const auto change = this->change();
  ASSERT_EQ(change.peers.size(), 2U);
  EXPECT_TRUE(change.peers[0].remove);
  EXPECT_TRUE(change.peers[1].add);
}

TEST_F(Diffing, ARoamedPeerStaysRoamedUntilTheSpecItselfChanges) {
  device_.peers[kOne].endpoint = at("198.51.100.7:999");
  EXPECT_TRUE(change().empty());
  spec_.peers[kOne].endpoint = at("192.0.2.5:1");
  ASSERT_EQ(change().peers.size(), 1U);
  EXPECT_EQ(change().peers[0].endpoint, at("192.0.2.5:1"));
}

TEST_F(Diffing, ATakenOverDeviceKeepsTheEndpointsThatItsPeersHave) {
  device_.peers[kOne].endpoint = at("198.51.100.7:999");
  applied_ = {};  // a new process
  EXPECT_TRUE(change().empty());
  device_.peers[kOne].endpoint.reset();
  ASSERT_EQ(change().peers.size(), 1U);
  EXPECT_TRUE(change().peers[0].endpoint.has_value());
}

TEST_F(Diffing, LeavingTheEndpointOpenForgetsNothing) {
  spec_.peers[kOne].endpoint.reset();
  EXPECT_TRUE(change().empty());
  settle();
  spec_.peers[kOne].endpoint = at("192.0.2.1:1");
  EXPECT_TRUE(change().empty());
}

TEST_F(Diffing, PresharedKeysAreSetWhenNewChangedOrLostAndTakenAwayByTheZeroKey) {
  SeededRandom random(5);
  spec_.peers[kOne].preshared_key = Key::generate_preshared(random);
  EXPECT_EQ(change().peers.at(0).preshared_key, spec_.peers[kOne].preshared_key);
  settle();
  EXPECT_TRUE(change().empty());
  device_.peers[kOne].has_preshared_key = false;  // another program removed it
  EXPECT_EQ(change().peers.size(), 1U);
  settle();
  spec_.peers[kOne].preshared_key = Key::generate_preshared(random);
  EXPECT_EQ(change().peers.size(), 1U);
  settle();
  spec_.peers[kOne].preshared_key.reset();
  ASSERT_EQ(change().peers.size(), 1U);
  EXPECT_TRUE(change().peers[0].preshared_key->is_zero());
}

// A part of the change may have reached the device. So a spec that takes it back sets it back.
TEST_F(Diffing, WhatAFailedChangeWasToSetIsSetAgain) {
  spec_.peers[kOne].preshared_key = key(7);
  settle();
  const auto before = spec_;
  spec_.peers[kOne].preshared_key = key(8);
  spec_.peers[kOne].endpoint = at("192.0.2.2:1");
  forget_failed(applied_, change());
  EXPECT_EQ(change().peers.at(0).endpoint, at("192.0.2.2:1"));
  spec_ = before;
  EXPECT_EQ(change().peers.at(0).endpoint, at("192.0.2.1:1"));
  EXPECT_EQ(change().peers.at(0).preshared_key, key(7));
  settle();
  EXPECT_TRUE(change().empty());
}

TEST_F(Diffing, AListenPortOfZeroLeavesTheDevicesOwn) {
  spec_.listen_port = 0;
  EXPECT_FALSE(change().listen_port);
}

// Any spec is reached from any device in one change, and the second change is empty.
TEST(Diff, ReachesEverySpecFromEveryDevice) {
  std::mt19937 dice(4);
  const auto roll = [&](unsigned sides) { return static_cast<unsigned>(dice() % sides); };
  const auto some_spec = [&] {
    DeviceSpec spec;
    spec.private_key = key(20 + roll(2));
    spec.listen_port = static_cast<std::uint16_t>(4500 + roll(2));
    spec.fwmark = roll(2);
    for (std::uint64_t n = 0; n < 5; ++n) {
      if (roll(3) != 0) spec.peers[key(30 + n).public_key()];
    }
    for (unsigned n = 0; n < 12 && !spec.peers.empty(); ++n) {
      if (roll(4) == 0) continue;
      auto owner = spec.peers.begin();
      std::advance(owner, roll(static_cast<unsigned>(spec.peers.size())));
      owner->second.allowed_ips.insert(p("10." + std::to_string(n) + ".0.0/16"));
    }
    for (auto& [peer, want] : spec.peers) {
      want.keepalive_seconds = static_cast<std::uint16_t>(roll(3));
      if (roll(2) != 0) want.preshared_key = key(50 + roll(2));
      if (roll(2) != 0) want.endpoint = Endpoint{*IpAddress::parse("192.0.2.1"), 7};
    }
    return spec;
  };
  DeviceStatus device;
  Applied applied;
  for (int round = 0; round < 2000; ++round) {
    const auto spec = some_spec();
    enact(change_of(device, spec, applied), device);
    applied = applied_of(spec, applied);
    if (roll(10) == 0) applied = {};  // a restart
    ASSERT_EQ(device.public_key, spec.private_key.public_key());
    ASSERT_EQ(device.peers.size(), spec.peers.size());
    for (const auto& [peer, want] : spec.peers) {
      const auto& have = device.peers.at(peer);
      ASSERT_EQ(have.allowed_ips, want.allowed_ips) << "round " << round;
      ASSERT_EQ(have.keepalive_seconds, want.keepalive_seconds);
      ASSERT_EQ(have.has_preshared_key, want.preshared_key.has_value());
    }
  }
}

}  // namespace
}  // namespace cw::tunnel
