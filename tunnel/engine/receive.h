// The receiving side: decrypts and checks datagrams, and writes them to the TUN as super-packets.
// Handshakes go to the control thread. Workers share it through a Turnstile.
#pragma once

#include <memory>
#include <vector>

#include "tunnel/engine/device_state.h"
#include "tunnel/engine/turnstile.h"

namespace cw::tunnel::engine {

// The datagrams of one round of receives.
class ReceiveWork {
 public:
  ReceiveWork();
  std::uint64_t ticket = 0;
  ReceiveBatch messages;

  // Cuts super-datagrams into messages. Queues handshakes and drops messages that are not valid.
  void sort(DeviceState& state);
  // Looks up the keys and drops messages that the replay windows already refuse.
  void grant(DeviceState& state);
  void open(Aead& aead);
  // Checks replay windows and source addresses and follows roaming, in order of arrival. Valid
  // packets go to `joiner`.
  void commit(DeviceState& state, Joiner& joiner);

 private:
  static constexpr std::size_t kMaxItems = 4096;  // more in one batch is dropped

  struct Run {  // consecutive messages of one session in one super-datagram
    std::uint32_t index = 0;
    std::uint8_t ecn = 0;
    const Path* from = nullptr;
    std::size_t first = 0;
    std::size_t count = 0;
    std::shared_ptr<Keypair> keypair;
  };
  void add(DeviceState& state, const Received& received, std::span<std::uint8_t> message);

  std::vector<Run> runs_;
  std::vector<AeadItem> items_;
  std::vector<Opened> opened_;
  Output out_;
};

class Receive {
 public:
  Receive(DeviceState& state, std::size_t workers);

  // The sockets to wait for; -1: none. For the leader only.
  struct Fds {
    int v4 = -1;
    int v6 = -1;
  };
  [[nodiscard]] Fds fds();
  // Receives waiting datagrams from the sockets that are ready. Null: none of use. `more`: more
  // datagrams may wait.
  ReceiveWork* read(bool v4, bool v6, bool& more);
  void work(ReceiveWork& work, Aead& aead);

 private:
  void leave(ReceiveWork& work);
  void write(SuperPacket& item);
  void write_singly(const SuperPacket& item);

  DeviceState& state_;
  Turnstile<ReceiveWork> turnstile_;
  // For the leader only.
  ReceiveWork* empty_ = nullptr;  // drawn from the turnstile, but nothing was received into it
  std::shared_ptr<UdpSockets> sockets_;
  std::uint64_t sockets_generation_ = 0;
  std::size_t most_ = ReceiveBatch::kMessages;
  // For the thread that lets batches leave only.
  Joiner joiner_;
  std::vector<std::uint8_t> gathered_;
};

}  // namespace cw::tunnel::engine
