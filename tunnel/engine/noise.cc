#include "tunnel/engine/noise.h"

#include <algorithm>
#include <bit>
#include <string_view>
#include <utility>

#include "base/error.h"

namespace cw::tunnel::engine {

static_assert(std::endian::native == std::endian::little, "load_le and store_le copy");

namespace {

constexpr std::string_view kConstruction = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s";
constexpr std::string_view kIdentifier = "WireGuard v1 zx2c4 Jason@zx2c4.com";

Bytes bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

void mix_hash(Bytes32& hash, Bytes data) { hash = blake2s({hash, data}); }

void mix_key(Bytes32& chain_key, Bytes data) { chain_key = kdf<1>(chain_key, data)[0]; }

// Mixes `data` into the chain key and returns a new AEAD key.
Bytes32 mix_key_out(Bytes32& chain_key, Bytes data) {
  auto out = kdf<2>(chain_key, data);
  chain_key = out[0];
  const auto key = out[1];
  wipe(out[0]);
  wipe(out[1]);
  return key;
}

struct Start {
  Bytes32 chain_key;
  Bytes32 hash;
};

// The start of both sides: the construction and the responder's static key.
Start start(const Key& responder) {
  static const auto kChainKey = blake2s({bytes_of(kConstruction)});
  static const auto kHash = blake2s({kChainKey, bytes_of(kIdentifier)});
  Start state{kChainKey, kHash};
  mix_hash(state.hash, responder.bytes());
  return state;
}

Bytes32 slice32(Bytes message, std::size_t offset) {
  Bytes32 out{};
  std::copy_n(message.begin() + static_cast<std::ptrdiff_t>(offset), 32, out.begin());
  return out;
}

template <std::size_t N>
void put(std::array<std::uint8_t, N>& message, std::size_t offset, Bytes bytes) {
  std::copy(bytes.begin(), bytes.end(), message.begin() + static_cast<std::ptrdiff_t>(offset));
}

// Offsets as in messages.h.
constexpr std::size_t kInitEphemeral = 8;
constexpr std::size_t kInitStatic = 40;
constexpr std::size_t kInitTimestamp = 88;
constexpr std::size_t kResponseEphemeral = 12;
constexpr std::size_t kResponseEmpty = 44;

}  // namespace

Timestamp tai64n(WallTime time) {
  const auto since = time.time_since_epoch();
  const auto whole = std::chrono::floor<std::chrono::seconds>(since);
  constexpr std::uint32_t kWhitening = 1U << 24U;
  const auto seconds = 0x400000000000000aULL + static_cast<std::uint64_t>(whole.count());
  auto nanos = static_cast<std::uint32_t>(std::chrono::nanoseconds(since - whole).count());
  nanos &= ~(kWhitening - 1);
  Timestamp out{};
  for (std::size_t i = 0; i < 8; ++i) out[i] = static_cast<std::uint8_t>(seconds >> (56 - 8 * i));
  for (std::size_t i = 0; i < 4; ++i) out[8 + i] = static_cast<std::uint8_t>(nanos >> (24 - 8 * i));
  return out;
}

std::optional<Caller> identify(const Identity& identity, Bytes initiation) {
  if (message_type(initiation) != MessageType::kInitiation) return std::nullopt;
  auto state = start(identity.public_key);
  Caller caller;
  caller.sender = load_le<std::uint32_t>(initiation, 4);
  caller.ephemeral = slice32(initiation, kInitEphemeral);
  mix_hash(state.hash, caller.ephemeral);
  mix_key(state.chain_key, caller.ephemeral);
  auto shared = identity.dh.secret_with(caller.ephemeral);
  if (!shared) return std::nullopt;
  auto key = mix_key_out(state.chain_key, *shared);
  wipe(*shared);
  const auto sealed = initiation.subspan(kInitStatic, 32 + kTagSize);
  Bytes32 who{};
  const bool ok = open(key, 0, sealed, state.hash, who);
  wipe(key);
  if (!ok) return std::nullopt;
  mix_hash(state.hash, sealed);
  caller.public_key = Key(who);
  caller.hash = state.hash;
  caller.chain_key = state.chain_key;
  return caller;
}

Handshake::Handshake(Identity identity, const Key& peer, const Key& preshared)
    : identity_(std::move(identity)), peer_(peer), preshared_(preshared.bytes()) {
  static_static_ = identity_.dh.secret_with(peer_.bytes());
}

Handshake::~Handshake() {
  clear();
  wipe(preshared_);
  if (static_static_) wipe(*static_static_);
}

void Handshake::set_identity(const Identity& identity) {
  clear();
  identity_ = identity;
  if (static_static_) wipe(*static_static_);
  static_static_ = identity_.dh.secret_with(peer_.bytes());
}

void Handshake::clear() {
  wipe(exchange_.hash);
  wipe(exchange_.chain_key);
  wipe(exchange_.remote_ephemeral);
  exchange_ = {};
}

std::optional<Initiation> Handshake::create_initiation(std::uint32_t local_index, WallTime now,
                                                       Random& random) {
  if (!static_static_) return std::nullopt;
  clear();
  auto state = start(peer_);
  const auto ephemeral = Key::generate_private(random);
  const auto ephemeral_public = ephemeral.public_key();
  Initiation message{};
  message[0] = static_cast<std::uint8_t>(MessageType::kInitiation);
  store_le(message, 4, local_index);
  put(message, kInitEphemeral, ephemeral_public.bytes());
  mix_hash(state.hash, ephemeral_public.bytes());
  mix_key(state.chain_key, ephemeral_public.bytes());

  const DhKey ours(ephemeral.bytes(), ephemeral_public.bytes());
  auto shared = ours.secret_with(peer_.bytes());
  if (!shared) return std::nullopt;
  auto key = mix_key_out(state.chain_key, *shared);
  wipe(*shared);
  const auto sealed_static = std::span(message).subspan(kInitStatic, 32 + kTagSize);
  seal(key, 0, identity_.public_key.bytes(), state.hash, sealed_static);
  mix_hash(state.hash, sealed_static);

  key = mix_key_out(state.chain_key, *static_static_);
  const auto sealed_time = std::span(message).subspan(kInitTimestamp, 12 + kTagSize);
  seal(key, 0, tai64n(now), state.hash, sealed_time);
  mix_hash(state.hash, sealed_time);
  wipe(key);

  exchange_.hash = state.hash;
  exchange_.chain_key = state.chain_key;
  exchange_.ephemeral = ours;
  exchange_.local_index = local_index;
  exchange_.state = HandshakeState::kCreatedInitiation;
  return message;
}

bool Handshake::consume_initiation(const Caller& caller, Bytes initiation) {
  if (!static_static_ || caller.public_key != peer_) return false;
  auto hash = caller.hash;
  auto chain_key = caller.chain_key;
  auto key = mix_key_out(chain_key, *static_static_);
  const auto sealed = initiation.subspan(kInitTimestamp, 12 + kTagSize);
  Timestamp timestamp{};
  const bool ok = open(key, 0, sealed, hash, timestamp);
  wipe(key);
  if (!ok || timestamp <= last_timestamp_) return false;
  mix_hash(hash, sealed);

  clear();
  last_timestamp_ = timestamp;
  exchange_.hash = hash;
  exchange_.chain_key = chain_key;
  exchange_.remote_ephemeral = caller.ephemeral;
  exchange_.remote_index = caller.sender;
  exchange_.state = HandshakeState::kConsumedInitiation;
  return true;
}

std::optional<Response> Handshake::create_response(std::uint32_t local_index, Random& random) {
  if (exchange_.state != HandshakeState::kConsumedInitiation) return std::nullopt;
  const auto ephemeral = Key::generate_private(random);
  const auto ephemeral_public = ephemeral.public_key();
  const DhKey ours(ephemeral.bytes(), ephemeral_public.bytes());
  auto ee = ours.secret_with(exchange_.remote_ephemeral);
  auto es = ours.secret_with(peer_.bytes());
  if (!ee || !es) return std::nullopt;
  Response message{};
  message[0] = static_cast<std::uint8_t>(MessageType::kResponse);
  store_le(message, 4, local_index);
  store_le(message, 8, exchange_.remote_index);
  put(message, kResponseEphemeral, ephemeral_public.bytes());
  mix_hash(exchange_.hash, ephemeral_public.bytes());
  mix_key(exchange_.chain_key, ephemeral_public.bytes());
  mix_key(exchange_.chain_key, *ee);
  mix_key(exchange_.chain_key, *es);
  wipe(*ee);
  wipe(*es);

  auto mixed = kdf<3>(exchange_.chain_key, preshared_);
  exchange_.chain_key = mixed[0];
  mix_hash(exchange_.hash, mixed[1]);
  const auto sealed = std::span(message).subspan(kResponseEmpty, kTagSize);
  seal(mixed[2], 0, {}, exchange_.hash, sealed);
  mix_hash(exchange_.hash, sealed);
  for (auto& part : mixed) wipe(part);

  exchange_.local_index = local_index;
  exchange_.state = HandshakeState::kCreatedResponse;
  return message;
}

bool Handshake::consume_response(Bytes response) {
  if (exchange_.state != HandshakeState::kCreatedInitiation || exchange_.response_consumed ||
      message_type(response) != MessageType::kResponse ||
      receiver_of(response) != exchange_.local_index) {
    return false;
  }
  const auto ephemeral = slice32(response, kResponseEphemeral);
  auto hash = exchange_.hash;
  auto chain_key = exchange_.chain_key;
  mix_hash(hash, ephemeral);
  mix_key(chain_key, ephemeral);
  auto ee = exchange_.ephemeral->secret_with(ephemeral);
  auto se = identity_.dh.secret_with(ephemeral);
  if (!ee || !se) return false;
  mix_key(chain_key, *ee);
  mix_key(chain_key, *se);
  wipe(*ee);
  wipe(*se);
  auto mixed = kdf<3>(chain_key, preshared_);
  mix_hash(hash, mixed[1]);
  const auto sealed = response.subspan(kResponseEmpty, kTagSize);
  const bool ok = open(mixed[2], 0, sealed, hash, {});
  if (ok) {
    mix_hash(hash, sealed);
    exchange_.hash = hash;
    exchange_.chain_key = mixed[0];
    exchange_.remote_index = load_le<std::uint32_t>(response, 4);
    exchange_.response_consumed = true;
  }
  for (auto& part : mixed) wipe(part);
  return ok;
}

std::optional<TransportKeys> Handshake::derive_keys() {
  if (!exchange_.response_consumed && exchange_.state != HandshakeState::kCreatedResponse)
    return std::nullopt;
  auto pair = kdf<2>(exchange_.chain_key, {});
  TransportKeys keys;
  keys.initiator = exchange_.response_consumed;
  keys.send = keys.initiator ? pair[0] : pair[1];
  keys.receive = keys.initiator ? pair[1] : pair[0];
  keys.local_index = exchange_.local_index;
  keys.remote_index = exchange_.remote_index;
  wipe(pair[0]);
  wipe(pair[1]);
  clear();
  return keys;
}

}  // namespace cw::tunnel::engine
