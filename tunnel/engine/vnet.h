// Super-packets of a TUN device with IFF_VNET_HDR (linux/virtio_net.h). Cuts the kernel's
// super-packets (TSO, USO, unfinished checksums) into packets for the wire. Joins decrypted
// segments of one flow into super-packets for the kernel. Pure: bytes in, bytes out.
//
// hdr_len is never used: it is wrong on forwarded packets. The order within a flow is kept: a
// packet joins only the latest super-packet of its flow, and never passes a packet that could not
// be joined.
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

// The sum of the Internet checksum (RFC 1071) over `bytes`, added to `initial`, folded to 16 bits.
[[nodiscard]] std::uint16_t checksum_sum(Bytes bytes, std::uint32_t initial = 0);

// The length of the largest packet that split() makes of `packet`.
[[nodiscard]] Result<std::size_t> largest_segment(const VnetHeader& header, Bytes packet);

// Cuts `packet` (as read from the TUN behind `header`) into segments with finished checksums.
// Segment n is written at byte n * `stride` of `out`, and its length to `lengths`. Returns the
// number of segments. kTooLarge: `out` or `lengths` is too small. kInvalid: the packet is
// malformed.
[[nodiscard]] Result<std::size_t> split(const VnetHeader& header, Bytes packet,
                                        std::span<std::uint8_t> out, std::size_t stride,
                                        std::span<std::uint16_t> lengths);

// One write to the TUN: a header and the pieces of one packet. Pieces point into the added packets,
// whose headers are edited in place. They are valid as long as those packets.
struct SuperPacket {
  VnetHeader vnet;
  std::vector<std::span<std::uint8_t>> pieces;  // first: headers + first payload
  std::size_t length = 0;

  // For the joiner only: what the next packet of this flow must match.
  std::size_t header_size = 0;
  std::size_t l4_offset = 0;
  std::uint32_t next_seq = 0;
  std::uint64_t flow = 0;
  std::uint16_t segments = 0;
  bool tcp = false;
  bool open = false;
};

struct JoinOptions {
  bool tcp = true;  // the TUN accepts TSO
  bool udp = true;  // the TUN accepts USO (Linux 6.2)
};

// Joins packets. Call add() in the order of decryption, then finish(), then write items() in order.
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
  std::vector<SuperPacket> items_;  // reused: after the first batches no allocation per packet
  std::size_t used_ = 0;
};

}  // namespace cw::tunnel::engine
