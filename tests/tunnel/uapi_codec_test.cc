// The configuration protocol's text, both ways (wireguard.com/xplatform).
#include <gtest/gtest.h>

#include "base/fake/sim_loop.h"
#include "tunnel/uapi/codec.h"

namespace cw::tunnel::uapi {
namespace {

Prefix p(const char* text) { return *Prefix::parse(text); }
Key key(std::uint64_t seed) {
  SeededRandom random(seed);
  return Key::generate_private(random);
}
const std::string kA = key(1).public_key().hex();
const std::string kB = key(2).public_key().hex();

SetRequest set(const std::string& text) {
  auto request = decode_request("set=1\n" + text);
  EXPECT_TRUE(request) << request.error().text;
  return request ? std::get<SetRequest>(*request) : SetRequest{};
}
std::string problem(const std::string& text) {
  const auto request = decode_request("set=1\n" + text);
  return request ? "none" : request.error().text;
}

TEST(UapiSet, SaysAChangeInTheDevicesGrammar) {
  DeviceChange change;
  change.private_key = key(3);
  change.listen_port = 4500;
  change.fwmark = 0;
  PeerChange gone;
  gone.key = key(1).public_key();
  gone.remove = true;
  PeerChange made;
  made.key = key(2).public_key();
  made.add = true;
  made.replace_allowed_ips = true;
  made.allowed_ips = {p("10.0.0.0/8"), p("fd00::/64")};
  made.endpoint = *Endpoint::parse("[2001:db8::1]:51820");
  made.preshared_key = Key();
  made.keepalive_seconds = 5;
  change.peers = {gone, made};
  EXPECT_EQ(encode_set(change),
            "set=1\nprivate_key=" + key(3).hex() + "\nlisten_port=4500\nfwmark=0\npublic_key=" +
                kA + "\nremove=true\npublic_key=" + kB + "\npreshared_key=" + std::string(64, '0') +
                "\nendpoint=[2001:db8::1]:51820\npersistent_keepalive_interval=5\n"
                "replace_allowed_ips=true\nallowed_ip=10.0.0.0/8\nallowed_ip=fd00::/64\n\n");
}

TEST(UapiSet, NeverBringsAVanishedPeerBack) {
  DeviceChange change;
  change.peers.emplace_back().key = key(1).public_key();
  change.peers[0].allowed_ips = {p("10.0.0.0/8")};
  EXPECT_EQ(encode_set(change),
            "set=1\npublic_key=" + kA + "\nupdate_only=true\nallowed_ip=10.0.0.0/8\n\n");
}

TEST(UapiSet, WhatIsEncodedIsDecodedToTheSame) {
  DeviceChange change;
  change.private_key = key(3);
  change.fwmark = 7;
  auto& peer = change.peers.emplace_back();
  peer.key = key(2).public_key();
  peer.keepalive_seconds = 5;
  peer.allowed_ips = {p("10.0.0.0/8"), p("fd00::/64")};
  auto text = encode_set(change);
  text.pop_back();  // the empty line ends a request and does not belong to it
  const auto request = set(text.substr(6));
  EXPECT_EQ(request.private_key, change.private_key);
  EXPECT_EQ(request.fwmark, change.fwmark);
  EXPECT_FALSE(request.listen_port);
  ASSERT_EQ(request.peers.size(), 1U);
  EXPECT_EQ(request.peers[0].key, peer.key);
  EXPECT_TRUE(request.peers[0].update_only);
  EXPECT_EQ(request.peers[0].keepalive_seconds, peer.keepalive_seconds);
  EXPECT_EQ(request.peers[0].allowed_ips.size(), 2U);
}

TEST(UapiSet, TakesTheWholeGrammar) {
  const auto request =
      set("replace_peers=true\npublic_key=" + kA + "\nremove=true\npublic_key=" + kB +
          "\nprotocol_version=1\nendpoint=192.0.2.1:5\nallowed_ip=10.1.2.3/8\n"
          "allowed_ip=-10.0.0.0/8\nallowed_ip=192.0.2.9\n");
  EXPECT_TRUE(request.replace_peers);
  ASSERT_EQ(request.peers.size(), 2U);
  EXPECT_TRUE(request.peers[0].remove);
  const auto& ips = request.peers[1].allowed_ips;
  ASSERT_EQ(ips.size(), 3U);
  EXPECT_EQ(ips[0].prefix, p("10.0.0.0/8"));  // host bits are dropped
  EXPECT_TRUE(ips[1].remove);
  EXPECT_EQ(ips[2].prefix, p("192.0.2.9/32"));
}

TEST(UapiSet, IsTakenWholeOrNotAtAll) {
  for (const auto& bad :
       {std::string("listen_port=65536\n"), std::string("listen_port=\n"),
        std::string("listen_port=-1\n"), std::string("fwmark=x\n"), std::string("private_key=00\n"),
        std::string("replace_peers=false\n"), std::string("something=1\n"),
        std::string("no equals sign\n"), std::string("=1\n"), "public_key=" + kA.substr(1) + "\n",
        "public_key=" + kA + "\nallowed_ip=10.0.0.0/33\n",
        "public_key=" + kA + "\nallowed_ip=x/8\n", "public_key=" + kA + "\nallowed_ip=10.0.0.0/\n",
        "public_key=" + kA + "\nendpoint=host:1\n", "public_key=" + kA + "\nprotocol_version=2\n",
        "public_key=" + kA + "\nremove=yes\n", "public_key=" + kA + "\nlisten_port=1\n",
        "public_key=" + kA + "\npersistent_keepalive_interval=65536\n"}) {
    EXPECT_NE(problem(bad), "none") << bad;
  }
  EXPECT_FALSE(decode_request(""));
  EXPECT_FALSE(decode_request("get=2\n"));
  EXPECT_FALSE(decode_request("get=1\nlisten_port=1\n"));
  EXPECT_TRUE(std::holds_alternative<GetRequest>(*decode_request("get=1\n")));
}

TEST(UapiGet, ReadsWhatImplementationsSay) {
  const auto status = decode_get(
      "private_key=" + key(3).hex() + "\nlisten_port=12912\nfwmark=1\npublic_key=" + kA +
      "\npreshared_key=" + key(4).hex() +
      "\nendpoint=[abcd:23::33]:51820\nallowed_ip=192.168.4.4/32\nallowed_ip=fd00::/64\n"
      "last_handshake_time_sec=1700000000\nlast_handshake_time_nsec=5\ntx_bytes=38333\n"
      "rx_bytes=2224\npersistent_keepalive_interval=111\nsome_extension=whatever\npublic_key=" +
      kB + "\npreshared_key=" + std::string(64, '0') + "\nlast_handshake_time_sec=0\nerrno=0\n");
  ASSERT_TRUE(status) << status.error().text;
  EXPECT_EQ(status->public_key, key(3).public_key());
  EXPECT_EQ(status->listen_port, 12912);
  ASSERT_EQ(status->peers.size(), 2U);
  const auto& a = status->peers.at(key(1).public_key());
  EXPECT_EQ(a.endpoint, *Endpoint::parse("[abcd:23::33]:51820"));
  EXPECT_EQ(a.allowed_ips, (std::set<Prefix>{p("192.168.4.4/32"), p("fd00::/64")}));
  EXPECT_EQ(a.last_handshake,
            WallTime(std::chrono::seconds(1'700'000'000) + std::chrono::nanoseconds(5)));
  EXPECT_EQ(a.tx_bytes, 38333U);
  EXPECT_EQ(a.rx_bytes, 2224U);
  EXPECT_EQ(a.keepalive_seconds, 111);
  EXPECT_TRUE(a.has_preshared_key);
  const auto& b = status->peers.at(key(2).public_key());
  EXPECT_FALSE(b.has_preshared_key);
  EXPECT_EQ(b.last_handshake, WallTime{});
}

TEST(UapiGet, ErrnoIsTheErrorAndItsAbsenceToo) {
  EXPECT_EQ(decode_get("errno=-1\n").error().code, Errc::kDenied);  // EPERM
  EXPECT_FALSE(decode_get("listen_port=1\n"));
  EXPECT_FALSE(decode_get(""));
  EXPECT_FALSE(decode_get("errno=-2147483648\n"));
  EXPECT_FALSE(decode_get("rx_bytes=-1\nerrno=0\npublic_key=" + kA + "\nrx_bytes=-1\n"));
  EXPECT_TRUE(decode_set_reply("errno=0\n"));
  EXPECT_FALSE(decode_set_reply("errno=-22\n"));
  EXPECT_FALSE(decode_set_reply("listen_port=1\n"));
  EXPECT_FALSE(decode_set_reply(""));
}

TEST(UapiGet, AHandshakeBeyondAllTimeIsNone) {
  const auto status =
      decode_get("public_key=" + kA + "\nlast_handshake_time_sec=9223372036854775807\nerrno=0\n");
  ASSERT_TRUE(status);
  EXPECT_EQ(status->peers.begin()->second.last_handshake, WallTime{});
}

TEST(UapiGet, WhatAServerSaysAClientReads) {
  DeviceStatus status;
  status.public_key = key(3).public_key();
  status.listen_port = 4500;
  auto& peer = status.peers[key(1).public_key()];
  peer.endpoint = *Endpoint::parse("192.0.2.1:9");
  peer.last_handshake = WallTime(std::chrono::milliseconds(1'700'000'000'250));
  peer.rx_bytes = 1;
  peer.tx_bytes = 2;
  peer.keepalive_seconds = 3;
  peer.has_preshared_key = true;
  peer.allowed_ips = {p("10.0.0.0/8")};
  const auto text = encode_get(key(3), status, {{key(1).public_key(), key(4)}});
  const auto read = decode_get(text);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->public_key, status.public_key);
  const auto& back = read->peers.begin()->second;
  EXPECT_EQ(back.endpoint, peer.endpoint);
  EXPECT_EQ(back.last_handshake, peer.last_handshake);
  EXPECT_EQ(back.rx_bytes, 1U);
  EXPECT_EQ(back.tx_bytes, 2U);
  EXPECT_TRUE(back.has_preshared_key);
  EXPECT_EQ(back.allowed_ips, peer.allowed_ips);
  EXPECT_EQ(encode_errno(-22), "errno=-22\n\n");
}

}  // namespace
}  // namespace cw::tunnel::uapi
