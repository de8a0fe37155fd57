// The way out: super-packets from the TUN are cut, encrypted and sent. Workers share it through a
// Turnstile.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "tunnel/engine/device_state.h"
#include "tunnel/engine/turnstile.h"

namespace cw::tunnel::engine {

// What one or more reads of the TUN gave, as data messages one after the other in `area`.
class TransmitBatch {
 public:
  TransmitBatch();
  std::uint64_t ticket = 0;

  // Cuts one read and lays it out; what is malformed is dropped.
  void add(const VnetHeader& header, Bytes packet, std::size_t mtu);
  [[nodiscard]] bool wants_more() const;
  [[nodiscard]] bool empty() const { return segments_.empty(); }
  void clear();

  // Asks the Core for keys and counters; stages and refuses what cannot go.
  void grant(DeviceState& state);
  void seal(Aead& aead);
  // The sends, runs of equal size as one if `gso`.
  [[nodiscard]] std::span<const SendRun> runs(bool gso);
  void forget_sources(DeviceState& state) const;

  [[nodiscard]] std::span<std::uint8_t> raw() { return {raw_.get(), kMaxTunPacket}; }

 private:
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

  // The leader's: reads what waits. Null: nothing does. `more`: there is more than one batch takes.
  TransmitBatch* read(bool& more);
  void work(TransmitBatch& batch, Aead& aead);

 private:
  void leave(TransmitBatch& batch);

  DeviceState& state_;
  Turnstile<TransmitBatch> turnstile_;
  TransmitBatch* empty_ = nullptr;  // drawn, and nothing was read into it
  // Only the one who lets batches leave uses these.
  std::shared_ptr<UdpSockets> sockets_;
  std::uint64_t sockets_generation_ = 0;
};

}  // namespace cw::tunnel::engine
