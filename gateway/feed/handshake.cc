#include "gateway/feed/handshake.h"

#include <fmt/format.h>
#include <openssl/crypto.h>

#include <algorithm>
#include <utility>

#include "gateway/feed/message_tag.h"

namespace cw::gateway {
namespace {

constexpr std::array<std::uint8_t, 4> kMagic{'C', 'W', 'F', 'H'};
constexpr std::size_t kKeyAt = 8;
constexpr std::size_t kNonceAt = 40;
constexpr std::size_t kProofAt = 72;

std::string as_text(std::span<const std::uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string said(const HandshakeMessage& message) { return as_text(encode_handshake(message)); }

// The part of a message that a proof covers: everything before the proof, as it was sent.
std::string bare(const HandshakeBytes& bytes) {
  return as_text(std::span<const std::uint8_t>(bytes).first(kProofAt));
}

std::string text_of(FeedVersion version) {
  return fmt::format("{}.{}", version.major, version.minor);
}

std::string words(HandshakeReason reason) {
  switch (reason) {
    case HandshakeReason::kUnknownKey:
      return "the remote gateway does not know this gateway's key";
    case HandshakeReason::kWrongProof:
      return "the remote gateway refuses the proof of this gateway's key";
    case HandshakeReason::kNone:
    case HandshakeReason::kVersion:
      break;
  }
  return "the remote gateway refuses the connection";
}

}  // namespace

HandshakeBytes encode_handshake(const HandshakeMessage& message) {
  HandshakeBytes bytes{};
  std::copy(kMagic.begin(), kMagic.end(), bytes.begin());
  bytes[4] = message.version.major;
  bytes[5] = message.version.minor;
  bytes[6] = static_cast<std::uint8_t>(message.kind);
  bytes[7] = static_cast<std::uint8_t>(message.reason);
  std::copy(message.public_key.begin(), message.public_key.end(), bytes.begin() + kKeyAt);
  std::copy(message.nonce.begin(), message.nonce.end(), bytes.begin() + kNonceAt);
  std::copy(message.proof.begin(), message.proof.end(), bytes.begin() + kProofAt);
  return bytes;
}

Result<HandshakeMessage> parse_handshake(std::span<const std::uint8_t> bytes) {
  const auto bad = [] { return fail(Errc::kInvalid, "feed: not a handshake"); };
  if (bytes.size() < kHandshakeHead || !std::equal(kMagic.begin(), kMagic.end(), bytes.begin())) {
    return bad();
  }
  HandshakeMessage message;
  message.version = {bytes[4], bytes[5]};
  if (message.version.major != kFeedVersion.major) return message;
  if (bytes.size() != kHandshakeSize ||
      bytes[6] < static_cast<std::uint8_t>(HandshakeKind::kHello) ||
      bytes[6] > static_cast<std::uint8_t>(HandshakeKind::kRefusal)) {
    return bad();
  }
  message.kind = static_cast<HandshakeKind>(bytes[6]);
  // A reason of a later minor version is still a refusal.
  message.reason = bytes[7] <= static_cast<std::uint8_t>(HandshakeReason::kWrongProof)
                       ? static_cast<HandshakeReason>(bytes[7])
                       : HandshakeReason::kNone;
  std::copy_n(bytes.begin() + kKeyAt, 32, message.public_key.begin());
  std::copy_n(bytes.begin() + kNonceAt, 32, message.nonce.begin());
  std::copy_n(bytes.begin() + kProofAt, 32, message.proof.begin());
  return message;
}

Handshake::Handshake(bool calls, const tunnel::Key& own, const Nonce& nonce, FeedVersion version)
    : calls_(calls) {
  own_.version = version;
  own_.kind = calls ? HandshakeKind::kHello : HandshakeKind::kChallenge;
  own_.public_key = own.bytes();
  own_.nonce = nonce;
}

Handshake Handshake::caller(const tunnel::Key& own, const tunnel::Key& other,
                            const tunnel::PairKey& shared, const Nonce& nonce,
                            FeedVersion version) {
  Handshake handshake(true, own, nonce, version);
  handshake.expected_ = other;
  handshake.shared_ = shared;
  return handshake;
}

Handshake Handshake::server(const tunnel::Key& own, KeyOf key_of, const Nonce& nonce,
                            FeedVersion version) {
  Handshake handshake(false, own, nonce, version);
  handshake.key_of_ = std::move(key_of);
  return handshake;
}

std::string Handshake::start() {
  transcript_ = bare(encode_handshake(own_));
  return said(own_);
}

Handshake::Step Handshake::receive(std::span<const std::uint8_t> bytes) {
  const auto size = std::min(bytes.size(), remaining());
  std::copy_n(bytes.begin(), size, buffer_.begin() + static_cast<std::ptrdiff_t>(received_));
  received_ += size;
  const auto so_far = std::span<const std::uint8_t>(buffer_).first(received_);
  if (received_ < kHandshakeHead) return {};
  if (!std::equal(kMagic.begin(), kMagic.end(), so_far.begin())) {
    return {{}, false, Error{Errc::kInvalid, "feed: not a handshake"}};
  }
  if (buffer_[4] != own_.version.major) {
    const FeedVersion theirs{buffer_[4], buffer_[5]};
    auto why = fmt::format(
        "feed: the remote gateway speaks feed version {}, this one {}: upgrade the older one",
        text_of(theirs), text_of(own_.version));
    if (buffer_[6] == static_cast<std::uint8_t>(HandshakeKind::kRefusal)) {
      return {{}, false, Error{Errc::kUnsupported, std::move(why)}};
    }
    return refuse(HandshakeReason::kVersion, Errc::kUnsupported, std::move(why));
  }
  if (received_ < kHandshakeSize) return {};
  received_ = 0;
  const auto message = parse_handshake(buffer_);
  if (!message) return {{}, false, message.error()};
  if (message->kind == HandshakeKind::kRefusal) {
    return {{}, false, Error{Errc::kDenied, "feed: " + words(message->reason)}};
  }
  const auto expected = calls_ ? (greeted_ ? HandshakeKind::kWelcome : HandshakeKind::kChallenge)
                               : (greeted_ ? HandshakeKind::kProof : HandshakeKind::kHello);
  if (message->kind != expected) {
    return {{}, false, Error{Errc::kInvalid, "feed: a handshake message out of order"}};
  }
  if (calls_) return greeted_ ? Step{{}, true, {}} : challenge(*message);
  return greeted_ ? proof(*message) : hello(*message);
}

Handshake::Step Handshake::proof(const HandshakeMessage& message) {
  const auto right = keyed("caller");
  if (CRYPTO_memcmp(right.data(), message.proof.data(), right.size()) != 0) {
    return refuse(HandshakeReason::kWrongProof, Errc::kDenied, "the proof is wrong");
  }
  return {said(ours(HandshakeKind::kWelcome)), true, {}};
}

Handshake::Step Handshake::hello(const HandshakeMessage& message) {
  const tunnel::Key other(message.public_key);
  const auto shared = key_of_(other);
  if (!shared) {
    return refuse(HandshakeReason::kUnknownKey, Errc::kDenied,
                  "its key belongs to no paired gateway");
  }
  greeted_ = true;
  shared_ = *shared;
  auto answer = own_;
  transcript_ = bare(buffer_) + bare(encode_handshake(answer));
  answer.proof = keyed("server");
  settle(message);
  return {said(answer), false, {}};
}

Handshake::Step Handshake::challenge(const HandshakeMessage& message) {
  transcript_ += bare(buffer_);
  const auto right = keyed("server");
  if (message.public_key != expected_.bytes() ||
      CRYPTO_memcmp(right.data(), message.proof.data(), right.size()) != 0) {
    return refuse(HandshakeReason::kWrongProof, Errc::kDenied,
                  "feed: the server that answers does not have the remote gateway's key");
  }
  greeted_ = true;
  settle(message);
  auto answer = ours(HandshakeKind::kProof);
  answer.proof = keyed("caller");
  return {said(answer), false, {}};
}

HandshakeMessage Handshake::ours(HandshakeKind kind) const {
  HandshakeMessage message;
  message.version = own_.version;
  message.kind = kind;
  return message;
}

Handshake::Step Handshake::refuse(HandshakeReason reason, Errc code, std::string text) const {
  auto message = ours(HandshakeKind::kRefusal);
  message.reason = reason;
  return {said(message), false, Error{code, std::move(text)}};
}

std::array<std::uint8_t, 32> Handshake::keyed(std::string_view use) const {
  return hmac_sha256(shared_, std::string(use) + '\0' + transcript_);
}

void Handshake::settle(const HandshakeMessage& theirs) {
  session_.other = tunnel::Key(theirs.public_key);
  session_.version = std::min(own_.version, theirs.version);
  session_.caller_key = keyed("caller messages");
  session_.server_key = keyed("server messages");
}

}  // namespace cw::gateway
