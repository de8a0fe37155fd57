// The WireGuard protocol of one device. Pure: datagrams, packets, time and randomness go in;
// datagrams, packets and the next timer come out. It has no sockets and no threads. The owner
// serialises all calls: the device holds one mutex, but never during the AEAD. Rules and constants
// are those of Donenfeld, NDSS 2017, sections 5 and 6. docs/protocol/wireguard.md numbers the rules
// and names their tests.
//
// The data path works in batches. grant_send() and grant_open() return keys and counters, the
// caller runs the AEAD outside of the lock, and commit_open() takes the results. encrypt() and
// on_datagram() do the same for single packets.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "tunnel/driver.h"
#include "tunnel/engine/admission.h"
#include "tunnel/engine/allowed_ips.h"
#include "tunnel/engine/index_tag.h"
#include "tunnel/engine/inner.h"
#include "tunnel/engine/peer.h"
#include "tunnel/mtu.h"

namespace cw::tunnel::engine {

using std::chrono::milliseconds;
using std::chrono::seconds;

// The constants of the paper (section 6.1). It has no number for the interval of initiations and
// the TOS; those are Linux's.
inline constexpr std::uint64_t kRekeyAfterMessages = std::uint64_t{1} << 60U;
inline constexpr Duration kRekeyAfterTime = seconds(120);
inline constexpr Duration kRejectAfterTime = seconds(180);
inline constexpr Duration kRekeyTimeout = seconds(5);
inline constexpr Duration kKeepaliveTimeout = seconds(10);
inline constexpr Duration kInitiationInterval = milliseconds(20);  // at most 50 per second and peer
inline constexpr unsigned kMaxAttempts = 18;         // 90 s: the paper's Rekey-Attempt-Time
inline constexpr std::uint8_t kHandshakeTos = 0x88;  // DSCP AF41

// A datagram to send. `tos` of a data message has the inner packet's ECN bits.
struct Datagram {
  Path to;
  std::vector<std::uint8_t> bytes;
  std::uint8_t tos = 0;
};
// The datagrams to send and the packets to deliver after a call.
struct Output {
  std::vector<Datagram> datagrams;
  // True if staged packets are among them. They must be sent before any packet that is granted
  // later, or the flow would be reordered.
  bool urgent = false;
  std::vector<std::vector<std::uint8_t>> packets;  // for the TUN, in order
};

enum class SendVerdict : std::uint8_t {
  kSend,       // encrypt with the grant
  kStage,      // no session: stage() the packets; a handshake has begun
  kNoPeer,     // no allowed IP matches: ICMP unreachable
  kNoEndpoint  // no address of the peer is known: ICMP unreachable
};
struct SendGrant {
  SendVerdict verdict = SendVerdict::kNoPeer;
  std::shared_ptr<Keypair> keypair;
  std::uint64_t first_counter = 0;
  Path path;
  Peer* peer = nullptr;  // for stage(), within the same locked section
};

// One decrypted data message of a batch. All messages of a batch have the same keypair and source.
struct Opened {
  std::uint64_t counter = 0;
  std::size_t message_size = 0;    // with header and tag
  std::span<std::uint8_t> packet;  // plaintext with padding; commit_open() trims it
  bool deliver = false;            // set by commit_open(): write the packet to the TUN
};

class Protocol {
 public:
  // When to make a handshake that a data packet needs: in the same call, or in the next tick().
  // With kWithTick the data path never waits for a Diffie-Hellman.
  enum class Handshakes : std::uint8_t { kAtOnce, kWithTick };
  explicit Protocol(Random& random, std::size_t mtu = kTunnelMtu,
                    Handshakes when = Handshakes::kAtOnce)
      : random_(random), index_tag_(random), mtu_(mtu), when_(when), admission_(random) {}
  ~Protocol();
  Protocol(const Protocol&) = delete;
  Protocol& operator=(const Protocol&) = delete;

  // Configuration. Each call keeps the sessions that it does not concern.
  void set_private_key(const Key& key);
  void set_mtu(std::size_t mtu) { mtu_ = mtu; }
  // Returns the peer; adds it if it is new. Null for our own public key, which is ignored.
  Peer* add_peer(const Key& public_key);
  [[nodiscard]] Peer* find_peer(const Key& public_key);
  void remove_peer(const Key& public_key);
  void set_preshared(Peer& peer, const Key& key);
  void set_endpoint(Peer& peer, const Endpoint& endpoint);
  // `interval` in seconds; 0 is off. When it is turned on, the next tick() sends a keepalive.
  void set_keepalive(Peer& peer, std::uint16_t interval, TimePoint now);
  void add_allowed_ip(Peer& peer, const Prefix& prefix);
  void remove_allowed_ip(Peer& peer, const Prefix& prefix);
  [[nodiscard]] const std::map<Key, std::unique_ptr<Peer>>& peers() const { return peers_; }
  [[nodiscard]] const std::optional<Identity>& identity() const { return identity_; }
  // The tag of all indices that this Protocol gives out.
  [[nodiscard]] const IndexTag& index_tag() const { return index_tag_; }

  // Takes messages of types 1 to 3, and of type 4 as a batch of one. `queued` is the number of
  // handshakes that wait behind this one.
  void on_datagram(Bytes message, const Path& from, TimePoint now, WallTime wall,
                   std::size_t queued, Output& out);
  // on_datagram() for types 1 and 2 in steps, so that the owner locks only for the last step.
  // admission() judges macs and load and needs no lock. Of the admitted messages, on_response()
  // takes the responses. on_caller() takes the initiations, with the result of identify().
  [[nodiscard]] Admission& admission() { return admission_; }
  void on_caller(const Caller& caller, Bytes message, const Path& from, TimePoint now, Output& out);
  void on_response(Bytes message, const Path& from, TimePoint now, WallTime wall, Output& out);
  // One plain packet from the TUN.
  SendVerdict encrypt(Bytes packet, TimePoint now, WallTime wall, Output& out);

  // Grants keys and counters for `count` packets to one destination, with `bytes` of padded
  // plaintext in all.
  [[nodiscard]] SendGrant grant_send(const IpAddress& destination, std::size_t count,
                                     std::size_t bytes, TimePoint now, WallTime wall, Output& out);
  void stage(Peer& peer, Bytes packet, TimePoint now, WallTime wall, Output& out);
  [[nodiscard]] std::shared_ptr<Keypair> grant_open(std::uint32_t index, TimePoint now) const;
  void commit_open(const std::shared_ptr<Keypair>& keypair, std::span<Opened> batch,
                   const Path& from, TimePoint now, WallTime wall, Output& out);
  // Forgets the sticky source: a send failed because this host no longer has that address.
  static void forget_source(const Keypair& keypair);

  // Runs the timers that are due. Any other call may make next_timer() earlier.
  void tick(TimePoint now, WallTime wall, Output& out);
  [[nodiscard]] std::optional<TimePoint> next_timer() const;
  // The earliest timer armed since reset_soonest(). A thread that sleeps until an older
  // next_timer() must wake up for this one. Takes constant time, unlike next_timer().
  [[nodiscard]] TimePoint soonest() const { return soonest_; }
  void reset_soonest() { soonest_ = TimePoint::max(); }

 private:
  [[nodiscard]] bool admit(Bytes message, const Path& from, TimePoint now, std::size_t queued,
                           Output& out);
  void on_initiation(Bytes message, const Path& from, TimePoint now, Output& out);
  void on_data(Bytes message, const Path& from, TimePoint now, WallTime wall, Output& out);

  void send_initiation(Peer& peer, bool retry, TimePoint now, WallTime wall, Output& out);
  void want_initiation(Peer& peer, TimePoint now, WallTime wall, Output& out);
  void arm(std::optional<TimePoint>& timer, TimePoint at);
  void send_keepalive(Peer& peer, TimePoint now, WallTime wall, Output& out);
  void flush_staged(Peer& peer, TimePoint now, WallTime wall, Output& out);
  void emit(Peer& peer, Bytes message, Output& out, std::uint8_t tos);
  void begin_session(Peer& peer, TimePoint now);
  [[nodiscard]] bool usable_for_send(const Peer& peer, TimePoint now) const;
  void sent_authenticated(Peer& peer, TimePoint now);
  void received_authenticated(Peer& peer, const Path& from, TimePoint now);
  [[nodiscard]] Duration jitter();

  std::uint32_t new_index(Peer& peer, const std::shared_ptr<Keypair>& keypair);
  void drop_index(std::optional<std::uint32_t>& index);
  void drop_keypair(std::shared_ptr<Keypair>& keypair);
  void zero_keys(Peer& peer);
  void tick_peer(Peer& peer, TimePoint now, WallTime wall, Output& out);

  struct IndexEntry {
    Peer* peer = nullptr;
    std::shared_ptr<Keypair> keypair;  // null: a handshake that is under way
  };

  Random& random_;
  const IndexTag index_tag_;
  std::size_t mtu_;
  Handshakes when_;
  TimePoint soonest_ = TimePoint::max();
  std::optional<Identity> identity_;
  Admission admission_;
  std::map<Key, std::unique_ptr<Peer>> peers_;
  AllowedIps<Peer*> routes_;
  std::unordered_map<std::uint32_t, IndexEntry> indices_;
  ForwardClock clock_;
};

}  // namespace cw::tunnel::engine
