// One peer of the engine: handshake, three key pairs, six timers, staged packets and counters. It
// has no rules of its own; protocol.cc has them. The Protocol's owner guards it.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <set>

#include "tunnel/engine/cookie.h"
#include "tunnel/engine/noise.h"
#include "tunnel/engine/replay.h"

namespace cw::tunnel::engine {

struct Peer;

// Where a peer was last heard from, and the local address that it sent to (the sticky source).
struct Path {
  Endpoint remote;
  std::optional<IpAddress> local;
  std::uint32_t ifindex = 0;
  friend bool operator==(const Path&, const Path&) = default;
};

// The keys of one session. Workers hold it while they encrypt. `peer` is null once the peer is
// removed.
struct Keypair {
  TransportKeys keys;
  TimePoint created{};
  std::uint64_t next_counter = 0;
  ReplayWindow replay;
  Peer* peer = nullptr;
};

// Points in time (paper section 6). Nothing: the timer is not armed.
struct Timers {
  std::optional<TimePoint> retransmit;     // no response to our initiation
  std::optional<TimePoint> keepalive;      // data received, nothing sent since
  std::optional<TimePoint> new_handshake;  // data sent, nothing received since
  std::optional<TimePoint> zero_keys;      // no new session for three lifetimes
  std::optional<TimePoint> persistent;     // persistent keepalive
  std::optional<TimePoint> initiate;       // a packet needs a handshake
  bool need_another_keepalive = false;
  bool last_minute_handshake = false;
  unsigned attempts = 0;

  [[nodiscard]] std::optional<TimePoint> next() const {
    std::optional<TimePoint> first;
    for (const auto& timer :
         {retransmit, keepalive, new_handshake, zero_keys, persistent, initiate}) {
      if (timer && (!first || *timer < *first)) first = timer;
    }
    return first;
  }
};

struct Peer {
  // As Linux's WireGuard. The oldest packet is dropped when one more comes.
  static constexpr std::size_t kMaxStaged = 128;

  Peer(const Identity& identity, const Key& key)
      : public_key(key), handshake(identity, key, Key()), macs(key) {}

  Key public_key;
  Key preshared_key;
  Handshake handshake;
  Macs macs;
  std::optional<Path> path;
  std::set<Prefix> allowed_ips;
  std::uint16_t persistent_keepalive = 0;  // seconds

  std::shared_ptr<Keypair> previous;
  std::shared_ptr<Keypair> current;
  std::shared_ptr<Keypair> next;
  std::optional<std::uint32_t> handshake_index;

  std::deque<std::vector<std::uint8_t>> staged;  // plain packets that wait for a session
  Timers timers;
  std::optional<TimePoint> handshake_sent;  // initiation or response
  std::optional<TimePoint> initiation_consumed;
  WallTime last_handshake{};
  std::uint64_t tx_bytes = 0;
  std::uint64_t rx_bytes = 0;
};

}  // namespace cw::tunnel::engine
