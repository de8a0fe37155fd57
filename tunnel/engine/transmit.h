// The sending side: cuts super-packets from the TUN, encrypts and sends them. Workers share it
// through a Turnstile.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "tunnel/engine/device_state.h"
#include "tunnel/engine/turnstile.h"

namespace cw::tunnel::engine {

// The packets of one or more reads of the TUN, as data messages one after the other in `area_`.
class TransmitBatch {
 public:
  TransmitBatch();
  std::uint64_t ticket = 0;

  // Cuts the packet of one read into messages. Malformed packets are dropped.
  void add(const VnetHeader& header, Bytes packet, std::size_t mtu);
  [[nodiscard]] bool wants_more() const;
  [[nodiscard]] bool empty() const { return segments_.empty(); }
  void clear();

  // Asks the Protocol for keys and counters. Stages packets without a session, refuses packets
  // without a peer.
  void grant(DeviceState& state);
  void seal(Aead& aead);
  // The sends. With `gso`, a run of messages of equal size is one send.
  [[nodiscard]] std::span<const SendRun> runs(bool gso);
  void forget_sources(DeviceState& state) const;

  [[nodiscard]] std::span<std::uint8_t> raw() { return {raw_.get(), kMaxTunPacket}; }

 private:
  // Room for 96 KiB and one more read of the largest size (TransmitBatch::wants_more).
  static constexpr std::size_t kArea = 448 << 10U;
  static constexpr std::size_t kMaxCut = 1536;  // segments of one read: an MSS of 48 makes 1366

  struct Segment {
    std::uint32_t message = 0;  // offset in area_
    std::uint16_t length = 0;   // of the packet
    std::uint16_t padded = 0;
    std::uint8_t ecn = 0;
  };
  struct Flow {  // consecutive segments to one destination
    IpAddress destination;
    std::size_t first = 0;
    std::size_t count = 0;
    std::size_t bytes = 0;
    SendGrant grant;
  };
  void refuse(DeviceState& state, const Flow& flow);
  [[nodiscard]] bool loops(const Flow& flow, std::uint16_t port);
  [[nodiscard]] std::span<std::uint8_t> packet_of(const Segment& segment) {
    return {area_.get() + segment.message + kDataHeader, segment.length};
  }

  std::unique_ptr<std::uint8_t[]> raw_;
  std::unique_ptr<std::uint8_t[]> area_;
  std::size_t used_ = 0;
  std::array<std::uint16_t, kMaxCut> lengths_{};
  std::vector<Segment> segments_;
  std::vector<Flow> flows_;
  std::vector<AeadItem> items_;
  std::vector<SendRun> runs_;
  Output out_;
};

class Transmit {
 public:
  Transmit(DeviceState& state, std::size_t workers);

  // Reads the waiting packets. Null: none waits. `more`: more packets wait than one batch takes.
  // For the leader only.
  TransmitBatch* read(bool& more);
  void work(TransmitBatch& batch, Aead& aead);

 private:
  void leave(TransmitBatch& batch);

  DeviceState& state_;
  Turnstile<TransmitBatch> turnstile_;
  TransmitBatch* empty_ = nullptr;  // drawn from the turnstile, but nothing was read into it
  // For the thread that lets batches leave only.
  std::shared_ptr<UdpSockets> sockets_;
  std::uint64_t sockets_generation_ = 0;
};

}  // namespace cw::tunnel::engine
