// The feed's handshake, byte by byte and side against side, without sockets.
#include "gateway/feed/handshake.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/fake/sim_loop.h"
#include "gateway/feed/message_tag.h"

namespace cw::gateway {
namespace {

tunnel::Key private_key(std::uint8_t first) {
  std::array<std::uint8_t, 32> bytes{};
  bytes.fill(first);
  return tunnel::Key(bytes);
}

Handshake::Nonce nonce(std::uint8_t of) {
  Handshake::Nonce nonce{};
  nonce.fill(of);
  return nonce;
}

std::span<const std::uint8_t> bytes_of(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

struct Sides {
  tunnel::Key east = private_key(1);  // serves
  tunnel::Key west = private_key(2);  // calls
  FeedVersion east_version = kFeedVersion;
  FeedVersion west_version = kFeedVersion;
  tunnel::Key known = west.public_key();  // the key that east has for west

  [[nodiscard]] static tunnel::PairKey shared(const tunnel::Key& own, const tunnel::Key& other) {
    return *tunnel::pair_key(own, other, tunnel::kFeedLabel);
  }
  [[nodiscard]] Handshake server() const {
    return Handshake::server(
        east.public_key(),
        [this](const tunnel::Key& other) {
          return other == known ? std::optional(shared(east, other)) : std::nullopt;
        },
        nonce(7), east_version);
  }
  [[nodiscard]] Handshake caller() const { return caller_of(east.public_key()); }
  [[nodiscard]] Handshake caller_of(const tunnel::Key& expected) const {
    return Handshake::caller(west.public_key(), expected, shared(west, expected), nonce(8),
                             west_version);
  }
};

struct Outcome {
  Handshake::Step caller;
  Handshake::Step server;
};

// Carries all messages both ways, in pieces of `piece` bytes.
Outcome run(Handshake& caller, Handshake& server, std::size_t piece = 1000) {
  Outcome outcome;
  std::string to_server = caller.start();
  std::string to_caller;
  const auto deliver = [piece](Handshake& side, Handshake::Step& last, std::string& in,
                               std::string& out) {
    while (!in.empty() && !last.done && !last.error) {
      const auto size = std::min({piece, in.size(), side.remaining()});
      last = side.receive(bytes_of(in).first(size));
      in.erase(0, size);
      out += last.send;
    }
  };
  for (int n = 0; n < 5; ++n) {
    deliver(server, outcome.server, to_server, to_caller);
    deliver(caller, outcome.caller, to_caller, to_server);
  }
  return outcome;
}

TEST(FeedHandshake, BothSidesProveTheirKeyAndAgree) {
  const Sides sides;
  for (const std::size_t piece : {1000U, 104U, 1U, 7U}) {
    auto caller = sides.caller();
    auto server = sides.server();
    const auto outcome = run(caller, server, piece);
    ASSERT_TRUE(outcome.caller.done);
    ASSERT_TRUE(outcome.server.done);
    EXPECT_EQ(caller.session().other, sides.east.public_key());
    EXPECT_EQ(server.session().other, sides.west.public_key());
    EXPECT_EQ(caller.session().caller_key, server.session().caller_key);
    EXPECT_EQ(caller.session().server_key, server.session().server_key);
    EXPECT_NE(caller.session().caller_key, caller.session().server_key);
  }
}

TEST(FeedHandshake, AServerDoesNotTalkToAKeyThatItDoesNotKnow) {
  Sides sides;
  sides.known = private_key(9).public_key();
  auto caller = sides.caller();
  auto server = sides.server();
  const auto outcome = run(caller, server);
  ASSERT_TRUE(outcome.server.error);
  EXPECT_EQ(outcome.server.error->code, Errc::kDenied);
  ASSERT_TRUE(outcome.caller.error);
  EXPECT_NE(outcome.caller.error->text.find("does not know"), std::string::npos);
}

TEST(FeedHandshake, SayingAnothersKeyIsNotHavingIt) {
  Sides sides;
  const auto victim = private_key(5);
  sides.known = victim.public_key();
  auto server = sides.server();
  // The attacker has all public data and a key of its own.
  auto liar = Handshake::caller(victim.public_key(), sides.east.public_key(),
                                Sides::shared(sides.west, sides.east.public_key()), nonce(8));
  const auto outcome = run(liar, server);
  EXPECT_FALSE(outcome.server.done);
  EXPECT_FALSE(outcome.caller.done);
  // The attacker goes on although the challenge does not fit its key.
  auto other = sides.server();
  HandshakeMessage hello;
  hello.public_key = victim.public_key().bytes();
  const auto first = encode_handshake(hello);
  ASSERT_FALSE(other.receive(first).error);
  HandshakeMessage proof;
  proof.kind = HandshakeKind::kProof;
  proof.proof = nonce(3);
  const auto step = other.receive(encode_handshake(proof));
  ASSERT_TRUE(step.error);
  EXPECT_FALSE(step.done);
}

TEST(FeedHandshake, ACallerTalksToTheGatewayThatItMeansOnly) {
  Sides sides;
  auto server = sides.server();
  auto caller = sides.caller_of(private_key(9).public_key());
  const auto outcome = run(caller, server);
  ASSERT_TRUE(outcome.caller.error);
  EXPECT_EQ(outcome.caller.error->code, Errc::kDenied);
  EXPECT_FALSE(outcome.server.done);
}

TEST(FeedHandshake, AProofIsWorthNothingInAnotherHandshake) {
  const Sides sides;
  auto caller = sides.caller();
  auto server = sides.server();
  const auto hello = caller.start();
  const auto challenge = server.receive(bytes_of(hello));
  const auto proof = caller.receive(bytes_of(challenge.send));
  // The same hello and proof are replayed, but the server's nonce is new.
  auto again = Handshake::server(
      sides.east.public_key(),
      [&](const tunnel::Key& other) { return std::optional(Sides::shared(sides.east, other)); },
      nonce(77));
  (void)again.receive(bytes_of(hello));
  const auto step = again.receive(bytes_of(proof.send));
  ASSERT_TRUE(step.error);
  EXPECT_FALSE(step.done);
  // The caller's own proof is not the server's, and no message is accepted out of order.
  auto mirrored = sides.caller();
  (void)mirrored.start();
  EXPECT_TRUE(mirrored.receive(bytes_of(hello)).error);
  auto early = sides.server();
  EXPECT_TRUE(early.receive(bytes_of(proof.send)).error);
}

TEST(FeedHandshake, AnyChangedBitEndsIt) {
  const Sides sides;
  auto caller = sides.caller();
  auto server = sides.server();
  const auto hello = caller.start();
  const auto challenge = server.receive(bytes_of(hello)).send;
  const auto proof = caller.receive(bytes_of(challenge)).send;
  for (std::size_t byte = 0; byte < kHandshakeSize; ++byte) {
    auto changed = challenge;
    changed[byte] = static_cast<char>(changed[byte] ^ 1);
    auto victim = sides.caller();
    (void)victim.start();
    EXPECT_TRUE(victim.receive(bytes_of(changed)).error) << "challenge, byte " << byte;
    if (byte < 72 && byte > 7) continue;  // a proof message has no field there
    changed = proof;
    changed[byte] = static_cast<char>(changed[byte] ^ 1);
    auto other = sides.server();
    (void)other.receive(bytes_of(hello));
    const auto step = other.receive(bytes_of(changed));
    EXPECT_TRUE(step.error || byte == 5 || byte == 7) << "proof, byte " << byte;
  }
}

TEST(FeedHandshake, AnotherMajorVersionIsRefusedInWordsOnBothSides) {
  for (const bool server_newer : {true, false}) {
    Sides sides;
    (server_newer ? sides.east_version : sides.west_version) = {3, 3};
    auto caller = sides.caller();
    auto server = sides.server();
    const auto outcome = run(caller, server);
    for (const auto* step : {&outcome.caller, &outcome.server}) {
      ASSERT_TRUE(step->error);
      EXPECT_EQ(step->error->code, Errc::kUnsupported);
      EXPECT_NE(step->error->text.find("3.3"), std::string::npos) << step->error->text;
      EXPECT_NE(step->error->text.find("2.0"), std::string::npos) << step->error->text;
      EXPECT_NE(step->error->text.find("upgrade"), std::string::npos);
    }
  }
}

std::string hex(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) text += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return text;
}

// The bytes that a gateway of version 2.1 sends to one of 2.0 with the keys and nonces above. Later
// versions of this program must still understand them.
constexpr std::string_view kNextHello =
    "4357464802010100ce8d3ad1ccb633ec7b70c17814a5c76ecd029685050d344745ba05870e587d59"
    "08080808080808080808080808080808080808080808080808080808080808080000000000000000"
    "000000000000000000000000000000000000000000000000";
constexpr std::string_view kNextChallenge =
    "4357464802010200a4e09292b651c278b9772c569f5fa9bb13d906b46ab68c9df9dc2b4409f8a209"
    "070707070707070707070707070707070707070707070707070707070707070793a34b1fa83f6c3d"
    "805901521df951e34c7d2cc9d6dc9ebf81a635cf14d8e839";
constexpr std::string_view kNextProof =
    "43574648020103000000000000000000000000000000000000000000000000000000000000000000"
    "0000000000000000000000000000000000000000000000000000000000000000557c5e036af3e5e5"
    "993cb0fa676a79a52c19ce11a2e1c827c63c47c6f92882b3";

std::string bytes_of_hex(std::string_view text) {
  std::string bytes;
  for (std::size_t n = 0; n + 1 < text.size(); n += 2) {
    bytes.push_back(static_cast<char>(std::stoi(std::string(text.substr(n, 2)), nullptr, 16)));
  }
  return bytes;
}

TEST(FeedHandshake, TheNextMinorVersionWorksAsCallerAndAsServer) {
  Sides as_caller;
  as_caller.east_version = {2, 0};
  auto server = as_caller.server();
  EXPECT_FALSE(server.receive(bytes_of(bytes_of_hex(kNextHello))).error);
  EXPECT_TRUE(server.receive(bytes_of(bytes_of_hex(kNextProof))).done);
  EXPECT_EQ(server.session().version, (FeedVersion{2, 0}));

  Sides as_server;
  as_server.west_version = {2, 0};
  auto caller = as_server.caller();
  (void)caller.start();
  const auto proof = caller.receive(bytes_of(bytes_of_hex(kNextChallenge)));
  EXPECT_FALSE(proof.error);
  EXPECT_EQ(proof.send.size(), kHandshakeSize);
  EXPECT_EQ(caller.session().version, (FeedVersion{2, 0}));
}

TEST(FeedHandshake, TheBytesAreThose) {
  Sides sides;
  sides.west_version = {2, 1};
  sides.east_version = {2, 0};
  auto caller = sides.caller();
  auto server = sides.server();
  const auto hello = caller.start();
  EXPECT_EQ(hex(hello), kNextHello);
  const auto challenge = server.receive(bytes_of(hello)).send;
  EXPECT_EQ(hex(caller.receive(bytes_of(challenge)).send), kNextProof);
  Sides other;
  other.east_version = {2, 1};
  other.west_version = {2, 0};
  auto newer = other.server();
  EXPECT_EQ(hex(newer.receive(bytes_of(other.caller().start())).send), kNextChallenge);
}

TEST(FeedHandshake, GarbageIsNoHandshake) {
  SeededRandom random(5);
  for (int n = 0; n < 2000; ++n) {
    std::array<std::uint8_t, kHandshakeSize> bytes{};
    random.fill(std::as_writable_bytes(std::span(bytes)));
    if (n % 2 == 0) {
      bytes = encode_handshake({});
      auto& byte = bytes.at(random.next() % kHandshakeSize);
      byte = static_cast<std::uint8_t>(byte ^ (1U << (random.next() % 8)));
    }
    const Sides sides;
    auto server = sides.server();
    const auto step = server.receive(bytes);
    EXPECT_FALSE(step.done);
    auto caller = sides.caller();
    (void)caller.start();
    EXPECT_TRUE(caller.receive(bytes).error);
  }
  EXPECT_FALSE(parse_handshake({}));
  const std::string http = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  const Sides sides;
  auto server = sides.server();
  EXPECT_EQ(server.receive(bytes_of(http)).error->code, Errc::kInvalid);
}

TEST(MessageTags, OnlyTheNextMessageOpens) {
  MessageTags seals(nonce(1));
  MessageTags opens(nonce(1));
  const auto first = seals.seal("one");
  const auto second = seals.seal("");
  EXPECT_EQ(first.size(), 3 + kMessageTag);
  EXPECT_EQ(*opens.open(first), "one");
  EXPECT_EQ(*opens.open(second), "");
  EXPECT_FALSE(opens.open(first)) << "repeated";
  EXPECT_FALSE(MessageTags(nonce(1)).open(second)) << "one is missing";
  EXPECT_FALSE(MessageTags(nonce(2)).open(first)) << "another key";
  auto changed = first;
  changed[0] = 'O';
  EXPECT_FALSE(MessageTags(nonce(1)).open(changed));
  EXPECT_FALSE(MessageTags(nonce(1)).open(first.substr(0, 10)));
}

}  // namespace
}  // namespace cw::gateway
