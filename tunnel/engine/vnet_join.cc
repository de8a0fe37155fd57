#include <algorithm>
#include <cstring>

#include "tunnel/engine/vnet.h"

namespace cw::tunnel::engine {

namespace {

constexpr std::size_t kMaxPieces = 1000;     // UIO_MAXIOV is 1024
constexpr std::uint16_t kMaxSegments = 128;  // the kernel's limit for USO

std::uint16_t get16(const std::uint8_t* at) {
  return static_cast<std::uint16_t>(at[0] << 8U | at[1]);
}
std::uint32_t get32(const std::uint8_t* at) {
  return static_cast<std::uint32_t>(get16(at)) << 16U | get16(at + 2);
}
void put16(std::uint8_t* at, std::uint16_t value) {
  at[0] = static_cast<std::uint8_t>(value >> 8U);
  at[1] = static_cast<std::uint8_t>(value);
}

// The properties of a packet that decide whether it may be joined.
struct Candidate {
  bool joinable = false;
  bool tcp = false;
  std::size_t l4 = 0;
  std::size_t headers = 0;
  std::size_t payload = 0;
  std::uint32_t seq = 0;
  bool push = false;
  bool flows = false;  // it has ports, so it belongs to a flow, joinable or not
};

std::uint64_t mix(std::uint64_t hash, Bytes bytes) {
  for (std::size_t i = 0; i < bytes.size(); i += 4) {
    std::uint32_t word = 0;
    std::memcpy(&word, bytes.data() + i, std::min<std::size_t>(4, bytes.size() - i));
    hash = (hash ^ word) * 0x9e3779b97f4a7c15ULL;
    hash ^= hash >> 29U;
  }
  return hash;
}

Candidate inspect(Bytes packet, const JoinOptions& options) {
  Candidate c;
  if (packet.size() < 28) return c;
  std::uint8_t protocol = 0;
  bool plain = false;  // no IP options, not a fragment
  if (packet[0] == 0x45) {
    c.l4 = 20;
    protocol = packet[9];
    plain = get16(packet.data() + 2) == packet.size() && (get16(packet.data() + 6) & 0x3fffU) == 0;
  } else if (packet[0] >> 4U == 6 && packet.size() >= 48) {
    c.l4 = 40;
    protocol = packet[6];
    plain = std::size_t{get16(packet.data() + 4)} + 40 == packet.size();
  } else {
    return c;
  }
  const auto* l4 = packet.data() + c.l4;
  if (protocol != 6 && protocol != 17) return c;
  c.flows = true;
  if (!plain) return c;
  c.tcp = protocol == 6;
  if (c.tcp) {
    if (!options.tcp || packet.size() < c.l4 + 20) return c;
    const std::size_t size = std::size_t{l4[12]} >> 4U << 2U;
    if (size < 20 || c.l4 + size >= packet.size()) return c;
    if ((l4[13] & ~0x08U) != 0x10 || (l4[12] & 0x0fU) != 0) return c;  // only ACK, and perhaps PSH
    c.headers = c.l4 + size;
    c.seq = get32(l4 + 4);
    c.push = (l4[13] & 0x08U) != 0;
  } else {
    if (!options.udp || get16(l4 + 4) != packet.size() - c.l4 || packet.size() == c.l4 + 8)
      return c;
    c.headers = c.l4 + 8;
  }
  c.payload = packet.size() - c.headers;
  c.joinable = true;
  return c;
}

// A hash of protocol, addresses and ports. Equal flows have equal hashes. Never 0.
std::uint64_t flow_of(Bytes packet, const Candidate& c) {
  const bool v4 = c.l4 == 20;
  auto hash = mix(v4 ? packet[9] : packet[6], v4 ? packet.subspan(12, 8) : packet.subspan(8, 32));
  hash = mix(hash, packet.subspan(c.l4, 4));
  return hash != 0 ? hash : 1;
}

// Whether all header bytes that must agree are equal. Lengths, ids, checksums and sequence numbers
// may differ.
bool same_headers(const SuperPacket& super, Bytes packet, const Candidate& c) {
  const Bytes head(super.pieces.front().data(), super.header_size);
  if (super.header_size != c.headers || super.tcp != c.tcp || super.l4_offset != c.l4) return false;
  const auto same = [&](std::size_t from, std::size_t to) {
    return std::memcmp(head.data() + from, packet.data() + from, to - from) == 0;
  };
  const bool ip_same = c.l4 == 20
                           ? same(0, 2) && same(6, 10) && same(12, 20)  // not length, id, checksum
                           : same(0, 4) && same(6, 40);
  if (!ip_same) return false;
  if (!c.tcp) return same(c.l4, c.l4 + 4);
  return same(c.l4, c.l4 + 4) && same(c.l4 + 8, c.l4 + 13) && same(c.l4 + 14, c.l4 + 16) &&
         same(c.l4 + 18, c.headers);  // ports, ack, offset, window, urgent, options
}

bool joins(const SuperPacket& super, Bytes packet, const Candidate& c) {
  return super.open && c.payload <= super.vnet.gso_size && super.segments < kMaxSegments &&
         super.pieces.size() < kMaxPieces && super.length + c.payload <= 65535 &&
         (!c.tcp || c.seq == super.next_seq) && same_headers(super, packet, c);
}

}  // namespace

SuperPacket& Joiner::push() {
  if (used_ == items_.size()) items_.emplace_back();
  auto& item = items_[used_++];
  item.pieces.clear();
  item.vnet = {};
  item.open = false;
  item.segments = 1;
  return item;
}

void Joiner::append(SuperPacket& last, std::span<std::uint8_t> packet, std::size_t headers,
                    bool push) {
  const auto payload = packet.size() - headers;
  last.pieces.push_back(packet.subspan(headers));
  last.length += payload;
  last.next_seq += static_cast<std::uint32_t>(payload);
  ++last.segments;
  // A short segment or one with PSH ends the super-packet.
  last.open = payload == last.vnet.gso_size && !push;
  if (push) last.pieces.front()[last.l4_offset + 13] |= 0x08U;
}

void Joiner::add(std::span<std::uint8_t> packet) {
  const auto c = inspect(packet, options_);
  // Nearly always the packet continues the last one, so its flow need not be looked up.
  if (c.joinable && used_ != 0 && joins(items_[used_ - 1], packet, c)) {
    return append(items_[used_ - 1], packet, c.headers, c.push);
  }
  const auto flow = c.flows ? flow_of(packet, c) : 0;
  for (std::size_t i = flow != 0 ? used_ : 0; i-- > 0;) {
    auto& last = items_[i];
    if (last.flow != flow) continue;
    if (c.joinable && joins(last, packet, c)) return append(last, packet, c.headers, c.push);
    last.open = false;  // no later packet of this flow may pass this one
    break;
  }
  auto& item = push();
  item.pieces.push_back(packet);
  item.length = packet.size();
  item.flow = flow;
  item.tcp = c.tcp;
  item.l4_offset = c.l4;
  item.header_size = c.headers;
  item.next_seq = c.seq + static_cast<std::uint32_t>(c.payload);
  item.open = c.joinable && !c.push;
  item.vnet.gso_size = static_cast<std::uint16_t>(c.payload);
}

void Joiner::finish() {
  for (auto& item : items()) {
    if (item.segments == 1) {
      item.vnet = {};
      continue;
    }
    auto head = item.pieces.front();
    const bool v4 = head[0] >> 4U == 4;
    const auto l4_length = item.length - item.l4_offset;
    if (v4) {
      put16(head.data() + 2, static_cast<std::uint16_t>(item.length));
      put16(head.data() + 10, 0);
      put16(head.data() + 10, static_cast<std::uint16_t>(~checksum_sum(head.first(20))));
    } else {
      put16(head.data() + 4, static_cast<std::uint16_t>(item.length - 40));
    }
    auto* l4 = head.data() + item.l4_offset;
    if (!item.tcp) put16(l4 + 4, static_cast<std::uint16_t>(l4_length));
    const std::uint16_t offset = item.tcp ? 16 : 6;
    const auto addresses = v4 ? Bytes(head).subspan(12, 8) : Bytes(head).subspan(8, 32);
    // A partial checksum: the field holds the sum of the pseudo header. The kernel or the device
    // does the rest.
    put16(l4 + offset,
          checksum_sum(addresses, (item.tcp ? 6U : 17U) + static_cast<std::uint32_t>(l4_length)));
    item.vnet.flags = kVnetNeedsCsum;
    item.vnet.gso_type = item.tcp ? (v4 ? kGsoTcpV4 : kGsoTcpV6) : kGsoUdpL4;
    item.vnet.hdr_len = static_cast<std::uint16_t>(item.header_size);
    item.vnet.csum_start = static_cast<std::uint16_t>(item.l4_offset);
    item.vnet.csum_offset = offset;
  }
}

}  // namespace cw::tunnel::engine
