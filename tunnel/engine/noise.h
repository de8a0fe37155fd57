// Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s as WireGuard uses it (paper sections 5.4.2 to 5.4.5): the
// handshake between one local identity and one peer. Pure: keys, bytes, time and randomness go in,
// messages and transport keys come out. A consume_* call that fails changes nothing.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "base/loop.h"
#include "base/random.h"
#include "tunnel/engine/crypto.h"
#include "tunnel/engine/messages.h"
#include "tunnel/key.h"

namespace cw::tunnel::engine {

using Timestamp = std::array<std::uint8_t, 12>;  // TAI64N, big endian: memcmp is order

// The wall clock for the timestamps of initiations. It follows jumps ahead and ignores jumps back.
// A peer accepts newer initiations only (paper section 5.1), so after a jump back it would refuse
// ours until the clock has caught up. It covers the life of the process; a peer remembers for
// longer.
class ForwardClock {
 public:
  [[nodiscard]] WallTime at(WallTime wall, TimePoint now) {
    ahead_ = std::max(ahead_, wall.time_since_epoch() - now.time_since_epoch());
    return WallTime(now.time_since_epoch() + ahead_);
  }

 private:
  Duration ahead_ = Duration::min();
};

// TAI64N of a wall clock time, rounded down to 2^24 ns (about 16.8 ms), so that it reveals nothing
// about load.
[[nodiscard]] Timestamp tai64n(WallTime time);

// The keys of both directions, from a finished handshake.
struct TransportKeys {
  Bytes32 send{};
  Bytes32 receive{};
  std::uint32_t local_index = 0;
  std::uint32_t remote_index = 0;
  bool initiator = false;
  ~TransportKeys() {
    wipe(send);
    wipe(receive);
  }
};

struct Identity {
  Identity() : Identity(Key(), Key()) {}  // none: a zero key
  Identity(const Key& private_half, const Key& public_half)
      : private_key(private_half),
        public_key(public_half),
        dh(private_half.bytes(), public_half.bytes()) {}
  Key private_key;
  Key public_key;
  DhKey dh;
};

enum class HandshakeState : std::uint8_t {
  kZeroed,
  kCreatedInitiation,
  kConsumedInitiation,
  kCreatedResponse,
};

// The result of the first half of an initiation: the public key that the caller claims.
struct Caller {
  Key public_key;
  Bytes32 hash{};  // state for the second half
  Bytes32 chain_key{};
  Bytes32 ephemeral{};
  std::uint32_t sender = 0;
};

// The responder's first half: two Diffie-Hellmans, before the peer is known. Nothing: the message
// is forged or not for us.
[[nodiscard]] std::optional<Caller> identify(const Identity& identity, Bytes initiation);

class Handshake {
 public:
  Handshake(Identity identity, const Key& peer, const Key& preshared);
  ~Handshake();
  Handshake(const Handshake&) = default;
  Handshake& operator=(const Handshake&) = default;

  void set_preshared(const Key& preshared) { preshared_ = preshared.bytes(); }
  // Sets a new local identity: forgets the running handshake and computes the static-static secret
  // again.
  void set_identity(const Identity& identity);
  // False: the peer's public key is a low-order point. No packet may be sent to such a peer.
  [[nodiscard]] bool possible() const { return static_static_.has_value(); }
  [[nodiscard]] HandshakeState state() const { return exchange_.state; }
  [[nodiscard]] std::uint32_t local_index() const { return exchange_.local_index; }

  // Leaves the macs zero; cookie.h fills them.
  [[nodiscard]] std::optional<Initiation> create_initiation(std::uint32_t local_index, WallTime now,
                                                            Random& random);
  // The second half: the static-static secret, and a timestamp that is newer than the last accepted
  // one.
  [[nodiscard]] bool consume_initiation(const Caller& caller, Bytes initiation);
  [[nodiscard]] std::optional<Response> create_response(std::uint32_t local_index, Random& random);
  [[nodiscard]] bool consume_response(Bytes response);
  // Call it after create_response() or consume_response(). Forgets the handshake's own secrets.
  [[nodiscard]] std::optional<TransportKeys> derive_keys();
  void clear();

 private:
  // The messages that were exchanged so far, and the secrets that follow from them.
  struct Exchange {
    HandshakeState state = HandshakeState::kZeroed;
    bool response_consumed = false;
    Bytes32 hash{};
    Bytes32 chain_key{};
    std::optional<DhKey> ephemeral;
    Bytes32 remote_ephemeral{};
    std::uint32_t local_index = 0;
    std::uint32_t remote_index = 0;
  };

  Identity identity_;
  Key peer_;
  Bytes32 preshared_{};
  std::optional<Bytes32> static_static_;
  Exchange exchange_;
  Timestamp last_timestamp_{};
};

}  // namespace cw::tunnel::engine
