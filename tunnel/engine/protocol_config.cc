// The Protocol's configuration and its index table; protocol.cc has its rules.
#include <algorithm>

#include "tunnel/engine/protocol.h"

namespace cw::tunnel::engine {

void Protocol::set_private_key(const Key& key) {
  if (identity_ && identity_->private_key == key) return;
  if (key.is_zero()) {
    identity_.reset();
    admission_.set_key(std::nullopt);
    for (auto& [public_key, peer] : peers_) zero_keys(*peer);
    return;
  }
  auto clamped = key.bytes();
  clamped[0] &= 0xf8U;
  clamped[31] = static_cast<std::uint8_t>((clamped[31] & 0x7fU) | 0x40U);
  identity_ = Identity{Key(clamped), key.public_key()};
  wipe(clamped);
  admission_.set_key(identity_->public_key);
  remove_peer(identity_->public_key);  // a device is no peer of itself
  for (auto& [public_key, peer] : peers_) {
    zero_keys(*peer);
    peer->handshake.set_identity(*identity_);
    peer->handshake_sent.reset();  // the new identity may start a handshake at once
  }
}

Peer* Protocol::find_peer(const Key& public_key) {
  const auto found = peers_.find(public_key);
  return found == peers_.end() ? nullptr : found->second.get();
}

Peer* Protocol::add_peer(const Key& public_key) {
  if (identity_ && identity_->public_key == public_key) return nullptr;
  auto& slot = peers_[public_key];
  if (slot == nullptr) {
    slot = std::make_unique<Peer>(identity_.value_or(Identity{}), public_key);
  }
  return slot.get();
}

void Protocol::remove_peer(const Key& public_key) {
  const auto found = peers_.find(public_key);
  if (found == peers_.end()) return;
  auto& peer = *found->second;
  zero_keys(peer);
  for (const auto& prefix : peer.allowed_ips) routes_.remove(prefix, &peer);
  peers_.erase(found);
}

void Protocol::set_preshared(Peer& peer, const Key& key) {
  peer.preshared_key = key;
  peer.handshake.set_preshared(key);
}

void Protocol::set_endpoint(Peer& peer, const Endpoint& endpoint) {
  peer.path = Path{endpoint, std::nullopt, 0};
}

void Protocol::set_keepalive(Peer& peer, std::uint16_t interval, TimePoint now) {
  const bool turned_on = peer.persistent_keepalive == 0 && interval != 0;
  peer.persistent_keepalive = interval;
  if (interval == 0) {
    peer.timers.persistent.reset();
  } else if (turned_on) {
    arm(peer.timers.persistent, now);  // the next tick sends one
  }
}

void Protocol::add_allowed_ip(Peer& peer, const Prefix& prefix) {
  if (const auto owner = routes_.owner_of(prefix); owner && *owner != &peer) {
    (*owner)->allowed_ips.erase(prefix);
  }
  peer.allowed_ips.insert(prefix);
  routes_.insert(prefix, &peer);
}

void Protocol::remove_allowed_ip(Peer& peer, const Prefix& prefix) {
  if (peer.allowed_ips.erase(prefix) != 0) routes_.remove(prefix, &peer);
}

void Protocol::forget_source(const Keypair& keypair) {
  if (auto* peer = keypair.peer; peer != nullptr && peer->path) peer->path->local.reset();
}

std::uint32_t Protocol::new_index(Peer& peer, const std::shared_ptr<Keypair>& keypair) {
  for (;;) {
    const auto index = index_tag_.index_of(static_cast<std::uint32_t>(random_.next()));
    if (indices_.try_emplace(index, IndexEntry{&peer, keypair}).second) return index;
  }
}

void Protocol::drop_index(std::optional<std::uint32_t>& index) {
  if (index) indices_.erase(*index);
  index.reset();
}

void Protocol::drop_keypair(std::shared_ptr<Keypair>& keypair) {
  if (keypair == nullptr) return;
  indices_.erase(keypair->keys.local_index);
  keypair->peer = nullptr;
  keypair.reset();
}

void Protocol::zero_keys(Peer& peer) {
  drop_keypair(peer.previous);
  drop_keypair(peer.current);
  drop_keypair(peer.next);
  drop_index(peer.handshake_index);
  peer.handshake.clear();
}

}  // namespace cw::tunnel::engine
