#include <algorithm>
#include <cstring>

#include "tunnel/engine/icmp.h"
#include "tunnel/engine/transmit.h"

namespace cw::tunnel::engine {

TransmitBatch::TransmitBatch()
    : raw_(new std::uint8_t[kMaxTunPacket]), area_(new std::uint8_t[kArea]) {
  segments_.reserve(2 * kMaxCut);
  items_.reserve(2 * kMaxCut);
  runs_.reserve(kMaxCut);
  flows_.reserve(64);
}

void TransmitBatch::clear() {
  used_ = 0;
  segments_.clear();
  flows_.clear();
  runs_.clear();
}

// A batch gathers up to two super-packets. The 47 segments of one do not fit into one datagram of
// 64 KiB; the 94 of two fill a little more than two datagrams, which costs a fifth less CPU. Only
// packets that already wait are gathered. The area has room for one more read of the largest size.
bool TransmitBatch::wants_more() const { return used_ < (96U << 10U) && segments_.size() < 256; }

void TransmitBatch::add(const VnetHeader& header, Bytes packet, std::size_t mtu) {
  const auto inner = parse_inner(packet);
  if (!inner) return;
  const auto largest = largest_segment(header, packet);
  if (!largest) return;
  const auto message_of = [&](std::size_t length) {
    return kDataHeader + padded_size(length, mtu) + kTagSize;
  };
  const auto stride = message_of(*largest);
  const auto room = std::span(area_.get(), kArea).subspan(used_ + kDataHeader);
  const auto count = split(header, packet, room.first(room.size() - 64), stride, lengths_);
  if (!count) return;
  if (flows_.empty() || flows_.back().destination != inner->destination) {
    flows_.emplace_back();
    flows_.back().destination = inner->destination;
    flows_.back().first = segments_.size();
  }
  auto& flow = flows_.back();
  const auto ecn = static_cast<std::uint8_t>(inner->tos & 3U);
  for (std::size_t i = 0; i < *count; ++i) {
    const std::size_t length = lengths_[i];
    const auto padded = padded_size(length, mtu);
    const auto message = used_ + i * stride;
    std::memset(area_.get() + message + kDataHeader + length, 0, padded - length);
    segments_.push_back({static_cast<std::uint32_t>(message), static_cast<std::uint16_t>(length),
                         static_cast<std::uint16_t>(padded), ecn});
    flow.bytes += padded;
  }
  flow.count += *count;
  used_ += (*count - 1) * stride + message_of(lengths_[*count - 1]);
}

void TransmitBatch::grant(DeviceState& state) {
  state.with_core(out_, [&](Protocol& protocol, TimePoint now, WallTime wall, Output& out) {
    const auto port = state.sockets != nullptr ? state.sockets->port() : std::uint16_t{0};
    for (auto& flow : flows_) {
      flow.grant = protocol.grant_send(flow.destination, flow.count, flow.bytes, now, wall, out);
      if (flow.grant.verdict == SendVerdict::kSend && loops(flow, port)) flow.count = 0;
      if (flow.grant.verdict != SendVerdict::kStage) continue;
      for (std::size_t i = 0; i < flow.count; ++i) {
        protocol.stage(*flow.grant.peer, packet_of(segments_[flow.first + i]), now, wall, out);
      }
    }
  });
  for (const auto& flow : flows_) {
    if (flow.grant.verdict == SendVerdict::kNoPeer ||
        flow.grant.verdict == SendVerdict::kNoEndpoint) {
      refuse(state, flow);
    }
  }
}

// Whether these are our own datagrams to the peer, routed into the tunnel that carries them. They
// would be encrypted again and again.
bool TransmitBatch::loops(const Flow& flow, std::uint16_t port) {
  const auto& remote = flow.grant.path.remote;
  if (flow.destination != remote.address) return false;
  const auto packet = packet_of(segments_[flow.first]);
  const std::size_t l4 = remote.address.is_v4() ? (packet[0] & 0x0fU) * std::size_t{4} : 40;
  const auto protocol = remote.address.is_v4() ? packet[9] : packet[6];
  if (protocol != 17 || packet.size() < l4 + 4) return false;
  const auto at = [&](std::size_t i) { return packet[l4 + i] << 8U | packet[l4 + i + 1]; };
  return at(0) == port && at(2) == remote.port;
}

// One answer per flow and batch is enough for the sender.
void TransmitBatch::refuse(DeviceState& state, const Flow& flow) {
  auto answer = unreachable_for(packet_of(segments_[flow.first]));
  if (answer.empty()) return;
  const std::span<std::uint8_t> piece(answer);
  (void)state.tun.write({}, {&piece, 1});
}

void TransmitBatch::seal(Aead& aead) {
  for (const auto& flow : flows_) {
    if (flow.grant.verdict != SendVerdict::kSend) continue;
    items_.clear();
    auto counter = flow.grant.first_counter;
    for (std::size_t i = 0; i < flow.count; ++i) {
      const auto& segment = segments_[flow.first + i];
      const std::span<std::uint8_t> head(area_.get() + segment.message, kDataHeader);
      store_le(head, 0, static_cast<std::uint32_t>(MessageType::kData));
      store_le(head, 4, flow.grant.keypair->keys.remote_index);
      store_le(head, 8, counter);
      items_.push_back({counter++, head.data() + kDataHeader, segment.padded, false});
    }
    aead.seal(flow.grant.keypair->keys.send, items_);
  }
}

std::span<const SendRun> TransmitBatch::runs(bool gso) {
  runs_.clear();
  for (const auto& flow : flows_) {
    if (flow.grant.verdict != SendVerdict::kSend) continue;
    std::size_t in_run = 0;  // 0: the next message begins a run
    std::uint8_t ecn = 0;
    for (std::size_t i = 0; i < flow.count; ++i) {
      const auto& segment = segments_[flow.first + i];
      const Bytes message(area_.get() + segment.message, kDataHeader + segment.padded + kTagSize);
      const bool joins = gso && in_run != 0 && in_run < UdpSockets::kMaxSegments &&
                         ecn == segment.ecn && message.size() <= runs_.back().segment &&
                         runs_.back().bytes.data() + runs_.back().bytes.size() == message.data() &&
                         runs_.back().bytes.size() + message.size() <= UdpSockets::kMaxRun;
      if (joins) {
        auto& run = runs_.back();
        run.bytes = {run.bytes.data(), run.bytes.size() + message.size()};
        in_run = message.size() == run.segment ? in_run + 1 : 0;  // a shorter one ends the run
      } else {
        ecn = segment.ecn;
        runs_.push_back({message, message.size(), &flow.grant.path, ecn});
        in_run = 1;
      }
    }
  }
  return runs_;
}

void TransmitBatch::forget_sources(DeviceState& state) const {
  const std::lock_guard lock(state.mutex);
  for (const auto& flow : flows_) {
    if (flow.grant.keypair != nullptr) Protocol::forget_source(*flow.grant.keypair);
  }
}

}  // namespace cw::tunnel::engine
