#include "tunnel/engine/protocol.h"

#include <algorithm>

namespace cw::tunnel::engine {

namespace {

bool older(const Keypair& keypair, Duration age, TimePoint now) {
  return now - keypair.created >= age;
}

}  // namespace

Protocol::~Protocol() {
  while (!peers_.empty()) remove_peer(peers_.begin()->first);
}

// 0 to 333 ms (paper section 6), so that two peers do not start handshakes again at the same
// moment.
Duration Protocol::jitter() {
  return milliseconds(static_cast<std::int64_t>(random_.next() % 334));
}

// --- types 1-3 ---

bool Protocol::admit(Bytes message, const Path& from, TimePoint now, std::size_t queued,
                     Output& out) {
  CookieReply reply;
  const auto verdict = admission_.judge(message, from.remote, now, queued, reply);
  if (verdict == Admission::Verdict::kCookie) {
    out.datagrams.push_back({from, {reply.begin(), reply.end()}, kHandshakeTos});
  }
  return verdict == Admission::Verdict::kAdmitted;
}

void Protocol::on_datagram(Bytes message, const Path& from, TimePoint now, WallTime wall,
                           std::size_t queued, Output& out) {
  const auto type = message_type(message);
  if (!type || !identity_) return;
  switch (*type) {
    case MessageType::kInitiation:
      if (admit(message, from, now, queued, out)) on_initiation(message, from, now, out);
      break;
    case MessageType::kResponse:
      if (admit(message, from, now, queued, out)) on_response(message, from, now, wall, out);
      break;
    case MessageType::kCookie:
      if (const auto found = indices_.find(receiver_of(message)); found != indices_.end()) {
        // The peer's keys do not authenticate it: no roaming, no counters, no early retransmission.
        (void)found->second.peer->macs.take_reply(message, now);
      }
      break;
    case MessageType::kData:
      on_data(message, from, now, wall, out);
      break;
  }
}

void Protocol::on_initiation(Bytes message, const Path& from, TimePoint now, Output& out) {
  if (const auto caller = identify(*identity_, message)) {
    on_caller(*caller, message, from, now, out);
  }
}

void Protocol::on_caller(const Caller& caller, Bytes message, const Path& from, TimePoint now,
                         Output& out) {
  auto* peer = find_peer(caller.public_key);
  if (peer == nullptr) return;
  if (peer->initiation_consumed && now - *peer->initiation_consumed < kInitiationInterval) return;
  if (!peer->handshake.consume_initiation(caller, message)) return;
  peer->initiation_consumed = now;
  peer->rx_bytes += message.size();

  drop_index(peer->handshake_index);
  auto keypair = std::make_shared<Keypair>();
  const auto index = new_index(*peer, keypair);
  auto response = peer->handshake.create_response(index, random_);
  if (!response) {
    std::optional<std::uint32_t> unused = index;
    drop_index(unused);
    return;
  }
  // An initiation may be a recorded one: after a restart the last timestamp is not known. The
  // response goes to the source, but the path stays until the peer confirms the session from there.
  const auto known = peer->path;
  received_authenticated(*peer, from, now);
  peer->handshake_sent = now;
  peer->macs.sign(*response, now);
  begin_session(*peer, now);
  emit(*peer, *response, out, kHandshakeTos);
  if (known) peer->path = known;
  sent_authenticated(*peer, now);
}

void Protocol::on_response(Bytes message, const Path& from, TimePoint now, WallTime wall,
                           Output& out) {
  const auto found = indices_.find(receiver_of(message));
  if (found == indices_.end() || found->second.keypair != nullptr) return;
  auto& peer = *found->second.peer;
  if (!peer.handshake.consume_response(message)) return;
  found->second.keypair = std::make_shared<Keypair>();
  peer.handshake_index.reset();  // the index belongs to the keypair now
  peer.rx_bytes += message.size();
  received_authenticated(peer, from, now);
  begin_session(peer, now);
  peer.timers.retransmit.reset();
  peer.timers.attempts = 0;
  peer.timers.last_minute_handshake = false;
  peer.last_handshake = wall;
  // The responder must not use the session before it has received a message on it.
  if (peer.staged.empty()) {
    send_keepalive(peer, now, wall, out);
  } else {
    flush_staged(peer, now, wall, out);
  }
}

// Turns the finished handshake into the keypair that its index was reserved for.
void Protocol::begin_session(Peer& peer, TimePoint now) {
  auto keys = peer.handshake.derive_keys();
  CW_CHECK(keys.has_value());
  auto keypair = indices_.at(keys->local_index).keypair;
  keypair->keys = *keys;
  keypair->created = now;
  keypair->peer = &peer;
  if (keypair->keys.initiator) {
    // An unconfirmed session is kept for packets that are still in flight.
    drop_keypair(peer.previous);
    if (peer.next != nullptr) {
      drop_keypair(peer.current);
      peer.previous = std::move(peer.next);
    } else {
      peer.previous = std::move(peer.current);
    }
    peer.next = nullptr;
    peer.current = std::move(keypair);
  } else {
    drop_keypair(peer.next);
    drop_keypair(peer.previous);
    peer.next = std::move(keypair);
  }
  arm(peer.timers.zero_keys, now + kRejectAfterTime * 3);
}

void Protocol::send_initiation(Peer& peer, bool retry, TimePoint now, WallTime wall, Output& out) {
  if (!retry) peer.timers.attempts = 0;
  if (peer.handshake_sent && now - *peer.handshake_sent < kRekeyTimeout) return;
  if (!identity_ || !peer.path || !peer.handshake.possible()) return;
  drop_index(peer.handshake_index);
  const auto index = new_index(peer, nullptr);
  auto message = peer.handshake.create_initiation(index, clock_.at(wall, now), random_);
  peer.handshake_index = index;
  if (!message) return drop_index(peer.handshake_index);
  peer.handshake_sent = now;
  peer.macs.sign(*message, now);
  emit(peer, *message, out, kHandshakeTos);
  sent_authenticated(peer, now);
  arm(peer.timers.retransmit, now + kRekeyTimeout + jitter());
}

void Protocol::want_initiation(Peer& peer, TimePoint now, WallTime wall, Output& out) {
  if (when_ == Handshakes::kAtOnce) return send_initiation(peer, false, now, wall, out);
  // A handshake is already under way.
  if (peer.handshake_sent && now - *peer.handshake_sent < kRekeyTimeout) return;
  if (!peer.timers.initiate) arm(peer.timers.initiate, now);
}

void Protocol::arm(std::optional<TimePoint>& timer, TimePoint at) {
  timer = at;
  soonest_ = std::min(soonest_, at);
}

// --- data ---

bool Protocol::usable_for_send(const Peer& peer, TimePoint now) const {
  return peer.current != nullptr && !older(*peer.current, kRejectAfterTime, now) &&
         peer.current->next_counter < kRejectAfterMessages;
}

SendGrant Protocol::grant_send(const IpAddress& destination, std::size_t count, std::size_t bytes,
                               TimePoint now, WallTime wall, Output& out) {
  SendGrant grant;
  const auto route = routes_.find(destination);
  if (!route) return grant;
  auto& peer = **route;
  grant.peer = &peer;
  if (!peer.path) {
    grant.verdict = SendVerdict::kNoEndpoint;
    return grant;
  }
  if (!usable_for_send(peer, now) || kRejectAfterMessages - peer.current->next_counter < count) {
    grant.verdict = SendVerdict::kStage;
    return grant;
  }
  grant.verdict = SendVerdict::kSend;
  grant.keypair = peer.current;
  grant.path = *peer.path;
  grant.first_counter = peer.current->next_counter;
  peer.current->next_counter += count;
  peer.tx_bytes += bytes + count * (kDataHeader + kTagSize);
  sent_authenticated(peer, now);
  if (!peer.timers.new_handshake) {
    arm(peer.timers.new_handshake, now + kKeepaliveTimeout + kRekeyTimeout + jitter());
  }
  const auto& current = *peer.current;
  if (current.next_counter > kRekeyAfterMessages ||
      (current.keys.initiator && older(current, kRekeyAfterTime, now))) {
    want_initiation(peer, now, wall, out);
  }
  return grant;
}

void Protocol::stage(Peer& peer, Bytes packet, TimePoint now, WallTime wall, Output& out) {
  if (peer.staged.size() >= Peer::kMaxStaged) peer.staged.pop_front();
  peer.staged.emplace_back(packet.begin(), packet.end());
  want_initiation(peer, now, wall, out);
}

namespace {

// Makes one data message: header, padding and AEAD.
std::vector<std::uint8_t> seal_message(const Keypair& keypair, std::uint64_t counter, Bytes packet,
                                       std::size_t padded) {
  std::vector<std::uint8_t> message(kDataHeader + padded + kTagSize);
  message[0] = static_cast<std::uint8_t>(MessageType::kData);
  store_le(message, 4, keypair.keys.remote_index);
  store_le(message, 8, counter);
  std::vector<std::uint8_t> plain(padded);
  std::copy(packet.begin(), packet.end(), plain.begin());
  seal(keypair.keys.send, counter, plain, {}, std::span(message).subspan(kDataHeader));
  return message;
}

}  // namespace

SendVerdict Protocol::encrypt(Bytes packet, TimePoint now, WallTime wall, Output& out) {
  const auto inner = parse_inner(packet);
  if (!inner) return SendVerdict::kNoPeer;
  const auto padded = padded_size(packet.size(), mtu_);
  const auto grant = grant_send(inner->destination, 1, padded, now, wall, out);
  if (grant.verdict == SendVerdict::kStage) stage(*grant.peer, packet, now, wall, out);
  if (grant.verdict == SendVerdict::kSend) {
    out.datagrams.push_back({grant.path,
                             seal_message(*grant.keypair, grant.first_counter, packet, padded),
                             static_cast<std::uint8_t>(inner->tos & 3U)});
  }
  return grant.verdict;
}

void Protocol::flush_staged(Peer& peer, TimePoint now, WallTime wall, Output& out) {
  auto packets = std::move(peer.staged);
  peer.staged.clear();
  out.urgent = out.urgent || !packets.empty();
  for (const auto& packet : packets) {
    // Looks up the route again: it may have moved to another peer.
    (void)encrypt(packet, now, wall, out);
  }
}

void Protocol::send_keepalive(Peer& peer, TimePoint now, WallTime wall, Output& out) {
  if (!peer.path) return;
  if (!usable_for_send(peer, now)) return want_initiation(peer, now, wall, out);
  const auto counter = peer.current->next_counter++;
  emit(peer, seal_message(*peer.current, counter, {}, 0), out, 0);
  sent_authenticated(peer, now);
}

std::shared_ptr<Keypair> Protocol::grant_open(std::uint32_t index, TimePoint now) const {
  const auto found = indices_.find(index);
  if (found == indices_.end() || found->second.keypair == nullptr) return nullptr;
  const auto& keypair = found->second.keypair;
  if (keypair->peer == nullptr || older(*keypair, kRejectAfterTime, now)) return nullptr;
  return keypair;
}

void Protocol::on_data(Bytes message, const Path& from, TimePoint now, WallTime wall, Output& out) {
  const auto keypair = grant_open(receiver_of(message), now);
  const auto counter = load_le<std::uint64_t>(message, 8);
  if (keypair == nullptr || !keypair->replay.check(counter)) return;
  std::vector<std::uint8_t> plain(message.size() - kDataHeader - kTagSize);
  if (!open(keypair->keys.receive, counter, message.subspan(kDataHeader), {}, plain)) return;
  Opened one{counter, message.size(), plain, false};
  commit_open(keypair, {&one, 1}, from, now, wall, out);
  if (one.deliver) out.packets.emplace_back(one.packet.begin(), one.packet.end());
}

void Protocol::commit_open(const std::shared_ptr<Keypair>& keypair, std::span<Opened> batch,
                           const Path& from, TimePoint now, WallTime wall, Output& out) {
  auto* peer = keypair->peer;
  if (peer == nullptr) return;
  bool authenticated = false;
  bool data = false;
  for (auto& one : batch) {
    one.deliver = false;
    if (!keypair->replay.accept(one.counter)) continue;
    authenticated = true;
    peer->rx_bytes += one.message_size;
    if (one.packet.empty()) continue;  // a keepalive
    data = true;
    const auto inner = parse_inner(one.packet);
    if (!inner) continue;
    const auto owner = routes_.find(inner->source);
    if (!owner || *owner != peer)
      continue;  // cryptokey routing: the source is not the peer's, so drop it
    one.packet = one.packet.first(inner->length);
    one.deliver = true;
  }
  if (!authenticated) return;

  received_authenticated(*peer, from, now);
  if (keypair == peer->next) {  // this message confirms the session
    drop_keypair(peer->previous);
    peer->previous = std::move(peer->current);
    peer->current = std::move(peer->next);
    peer->next = nullptr;
    peer->timers.retransmit.reset();
    peer->timers.attempts = 0;
    peer->timers.last_minute_handshake = false;
    peer->last_handshake = wall;
    flush_staged(*peer, now, wall, out);
  }
  if (data) {
    if (!peer->timers.keepalive) {
      arm(peer->timers.keepalive, now + kKeepaliveTimeout);
    } else {
      peer->timers.need_another_keepalive = true;
    }
  }
  const auto* current = peer->current.get();
  if (!peer->timers.last_minute_handshake && current != nullptr && current->keys.initiator &&
      older(*current, kRejectAfterTime - kKeepaliveTimeout - kRekeyTimeout, now)) {
    peer->timers.last_minute_handshake = true;
    want_initiation(*peer, now, wall, out);
  }
}

// --- timers ---

void Protocol::emit(Peer& peer, Bytes message, Output& out, std::uint8_t tos) {
  if (!peer.path) return;
  peer.tx_bytes += message.size();
  out.datagrams.push_back({*peer.path, {message.begin(), message.end()}, tos});
}

void Protocol::sent_authenticated(Peer& peer, TimePoint now) {
  peer.timers.keepalive.reset();
  if (peer.persistent_keepalive != 0) {
    arm(peer.timers.persistent, now + seconds(peer.persistent_keepalive));
  }
}

void Protocol::received_authenticated(Peer& peer, const Path& from, TimePoint now) {
  peer.path = from;  // roaming: the newest authenticated source is the peer's address
  peer.timers.new_handshake.reset();
  if (peer.persistent_keepalive != 0) {
    arm(peer.timers.persistent, now + seconds(peer.persistent_keepalive));
  }
}

void Protocol::tick_peer(Peer& peer, TimePoint now, WallTime wall, Output& out) {
  auto& timers = peer.timers;
  const auto due = [now](std::optional<TimePoint>& timer) {
    if (!timer || *timer > now) return false;
    timer.reset();
    return true;
  };
  if (due(timers.retransmit)) {
    if (timers.attempts > kMaxAttempts) {
      timers.keepalive.reset();
      peer.staged.clear();
      if (!timers.zero_keys) timers.zero_keys = now + kRejectAfterTime * 3;
    } else {
      ++timers.attempts;
      if (peer.path) peer.path->local.reset();
      send_initiation(peer, true, now, wall, out);
    }
  }
  if (due(timers.keepalive)) {
    send_keepalive(peer, now, wall, out);
    if (timers.need_another_keepalive) {
      timers.need_another_keepalive = false;
      timers.keepalive = now + kKeepaliveTimeout;
    }
  }
  if (due(timers.new_handshake)) {
    if (peer.path) peer.path->local.reset();
    send_initiation(peer, false, now, wall, out);
  }
  if (due(timers.initiate)) send_initiation(peer, false, now, wall, out);
  if (due(timers.zero_keys)) zero_keys(peer);
  if (due(timers.persistent) && peer.persistent_keepalive != 0) {
    timers.persistent = now + seconds(peer.persistent_keepalive);
    send_keepalive(peer, now, wall, out);
  }
}

void Protocol::tick(TimePoint now, WallTime wall, Output& out) {
  for (auto& [key, peer] : peers_) {
    const auto next = peer->timers.next();
    if (next && *next <= now) tick_peer(*peer, now, wall, out);
  }
}

std::optional<TimePoint> Protocol::next_timer() const {
  std::optional<TimePoint> first;
  for (const auto& [key, peer] : peers_) {
    const auto next = peer->timers.next();
    if (next && (!first || *next < *first)) first = next;
  }
  return first;
}

}  // namespace cw::tunnel::engine
