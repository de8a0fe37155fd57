// The handshake at the start of a feed connection (docs/protocol/feed.md). Both gateways prove that
// they have the key that only the two of them share (tunnel/pair_key.h). gRPC gets the socket
// afterwards. Every message has 104 bytes. Both proofs cover both versions, keys and nonces.
//
//   caller                                      server
//     hello      version, public key, nonce ->
//                         <- challenge  version, public key, nonce, proof
//     proof      proof                      ->
//                         <- welcome            (or, at any step, a refusal with its reason)
//
// Another major version is refused, another minor version is not. The first 8 bytes of a message
// are the same in all versions. No sockets, no clock: bytes in, bytes out.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "base/error.h"
#include "tunnel/key.h"
#include "tunnel/pair_key.h"

namespace cw::gateway {

struct FeedVersion {
  std::uint8_t major = 1;
  std::uint8_t minor = 0;
  friend auto operator<=>(const FeedVersion&, const FeedVersion&) = default;
};
inline constexpr FeedVersion kFeedVersion{2, 0};

inline constexpr std::size_t kHandshakeHead = 8;
inline constexpr std::size_t kHandshakeSize = 104;

enum class HandshakeKind : std::uint8_t { kHello = 1, kChallenge, kProof, kWelcome, kRefusal };
enum class HandshakeReason : std::uint8_t { kNone, kVersion, kUnknownKey, kWrongProof };

struct HandshakeMessage {
  FeedVersion version = kFeedVersion;
  HandshakeKind kind = HandshakeKind::kHello;
  HandshakeReason reason = HandshakeReason::kNone;  // of a refusal
  std::array<std::uint8_t, 32> public_key{};
  std::array<std::uint8_t, 32> nonce{};
  std::array<std::uint8_t, 32> proof{};
  friend bool operator==(const HandshakeMessage&, const HandshakeMessage&) = default;
};
using HandshakeBytes = std::array<std::uint8_t, kHandshakeSize>;

[[nodiscard]] HandshakeBytes encode_handshake(const HandshakeMessage& message);
// Accepts any bytes. Of another major version only the head counts, so 8 bytes are enough.
// kInvalid: not a message of a feed handshake.
[[nodiscard]] Result<HandshakeMessage> parse_handshake(std::span<const std::uint8_t> bytes);

// The result of correct proofs. Each direction has its own key for the tags of its messages
// (message_tag.h).
struct FeedSession {
  tunnel::Key other;    // the party whose key was proven
  FeedVersion version;  // the lower of the two
  std::array<std::uint8_t, 32> caller_key{};
  std::array<std::uint8_t, 32> server_key{};
};

// One side. The owner reads at most remaining() bytes from the socket, gives them to receive(), and
// sends what receive() returns.
class Handshake {
 public:
  using Nonce = std::array<std::uint8_t, 32>;
  // The key shared with the gateway that has this public key. None: that gateway may not call.
  using KeyOf = std::function<std::optional<tunnel::PairKey>(const tunnel::Key& other)>;

  struct Step {
    std::string send{};
    bool done = false;             // session() is valid; the next byte is not ours to read
    std::optional<Error> error{};  // over, after `send`; kUnsupported: another version
  };

  // The caller knows which gateway should answer. start() returns its hello.
  static Handshake caller(const tunnel::Key& own, const tunnel::Key& other,
                          const tunnel::PairKey& shared, const Nonce& nonce,
                          FeedVersion version = kFeedVersion);
  static Handshake server(const tunnel::Key& own, KeyOf key_of, const Nonce& nonce,
                          FeedVersion version = kFeedVersion);

  [[nodiscard]] std::string start();
  [[nodiscard]] std::size_t remaining() const { return kHandshakeSize - received_; }
  [[nodiscard]] Step receive(std::span<const std::uint8_t> bytes);  // at most remaining()
  [[nodiscard]] const FeedSession& session() const { return session_; }

 private:
  Handshake(bool calls, const tunnel::Key& own, const Nonce& nonce, FeedVersion version);

  [[nodiscard]] Step hello(const HandshakeMessage& message);
  [[nodiscard]] Step challenge(const HandshakeMessage& message);
  [[nodiscard]] Step proof(const HandshakeMessage& message);
  [[nodiscard]] HandshakeMessage ours(HandshakeKind kind) const;
  [[nodiscard]] Step refuse(HandshakeReason reason, Errc code, std::string text) const;
  [[nodiscard]] std::array<std::uint8_t, 32> keyed(std::string_view use) const;
  void settle(const HandshakeMessage& theirs);

  bool calls_;
  HandshakeMessage own_;  // our hello or challenge, without its proof
  KeyOf key_of_;
  tunnel::Key expected_;
  tunnel::PairKey shared_{};
  std::string transcript_;  // hello, then challenge, without the proofs
  bool greeted_ = false;    // the other side's hello or challenge has come
  HandshakeBytes buffer_{};
  std::size_t received_ = 0;
  FeedSession session_;
};

}  // namespace cw::gateway
