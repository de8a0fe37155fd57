// Super-packets of a TUN device with IFF_VNET_HDR (linux/virtio_net.h): cutting what the kernel
// gives us (TSO, USO, unfinished checksums) into the packets that go on the wire, and gathering
// decrypted segments of one flow into super-packets for it. Pure: bytes in, bytes out.
//
// Never trusted: hdr_len (wrong on forwarded packets). Order within a flow is kept by construction:
// a packet joins only the latest super-packet of its flow, never passes one that could not be
// joined.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "base/error.h"
#include "tunnel/engine/crypto.h"

namespace cw::tunnel::engine {

// struct virtio_net_hdr, native endian; 10 bytes (the tun default).
struct VnetHeader {
  std::uint8_t flags = 0;
  std::uint8_t gso_type = 0;
  std::uint16_t hdr_len = 0;
  std::uint16_t gso_size = 0;
  std::uint16_t csum_start = 0;
  std::uint16_t csum_offset = 0;
};
static_assert(sizeof(VnetHeader) == 10);

inline constexpr std::uint8_t kVnetNeedsCsum = 1;
inline constexpr std::uint8_t kGsoNone = 0;
inline constexpr std::uint8_t kGsoTcpV4 = 1;
inline constexpr std::uint8_t kGsoTcpV6 = 4;
inline constexpr std::uint8_t kGsoUdpL4 = 5;
inline constexpr std::uint8_t kGsoEcn = 0x80;

// The Internet checksum's sum (RFC 1071) over `bytes`, added to `initial`; folded to 16 bits.
[[nodiscard]] std::uint16_t checksum_sum(Bytes bytes, std::uint32_t initial = 0);

// The length of the largest packet that split() will make of `packet`.
[[nodiscard]] Result<std::size_t> largest_segment(const VnetHeader& header, Bytes packet);

// Cuts `packet` (as read from the TUN, `header` in front of it) into segments, written one after
// the other at `stride` byte steps into `out`, checksums finished. Returns their lengths through
// `lengths`; kTooLarge if `out` or `lengths` is too small, kInvalid for a malformed packet.
[[nodiscard]] Result<std::size_t> split(const VnetHeader& header, Bytes packet,
                                        std::span<std::uint8_t> out, std::size_t stride,
                                        std::span<std::uint16_t> lengths);

// One write to the TUN: a header and the pieces of one packet. Pieces point into the added packets
// (and their own headers, edited in place); valid until the packets go.
struct SuperPacket {
  VnetHeader vnet;
  std::vector<std::span<std::uint8_t>> pieces;  // first: headers + first payload
  std::size_t length = 0;

  // For the joiner only: what the next packet of this flow must look like.
  std::size_t header_size = 0;
  std::size_t l4_offset = 0;
  std::uint32_t next_seq = 0;
  std::uint64_t flow = 0;
  std::uint16_t segments = 0;
  bool tcp = false;
  bool open = false;
};

struct JoinOptions {
  bool tcp = true;  // TSO accepted by this TUN
  bool udp = true;  // USO accepted (Linux 6.2)
};

// Gathers packets; add() in the order of decryption, then finish(), then write items() in order.
class Joiner {
 public:
  explicit Joiner(JoinOptions options) : options_(options) {}
  void set_options(JoinOptions options) { options_ = options; }
  void add(std::span<std::uint8_t> packet);
  // Writes lengths and partial checksums into the headers.
  void finish();
  [[nodiscard]] std::span<SuperPacket> items() { return {items_.data(), used_}; }
  void clear() { used_ = 0; }

 private:
  SuperPacket& push();
  static void append(SuperPacket& last, std::span<std::uint8_t> packet, std::size_t headers,
                     bool push);
  JoinOptions options_;
  std::vector<SuperPacket> items_;  // reused: no allocation per packet once warm
  std::size_t used_ = 0;
};

}  // namespace cw::tunnel::engine
