#include "tunnel/engine/device.h"

#include <algorithm>
#include <optional>
#include <set>
#include <span>
#include <thread>
#include <vector>

#include "base/log.h"
#include "base/thread_role.h"
#include "tunnel/engine/allowed_ip_changes.h"
#include "tunnel/engine/control.h"
#include "tunnel/engine/workers.h"

namespace cw::tunnel::engine {

namespace {

std::size_t default_workers() {
  return std::clamp<std::size_t>(std::thread::hardware_concurrency() / 2, 1, 8);
}

}  // namespace

struct Device::Parts {
  Parts(const DeviceOptions& asked, Tun tun, std::size_t workers)
      : options(asked), state(std::move(tun)), pool(state, asked.aead, workers), control(state) {}

  void start(std::size_t workers) {
    for (std::size_t i = 0; i < workers; ++i)
      threads.emplace_back([this] {
        name_thread("cw-packets");
        pool.run();
      });
    threads.emplace_back([this] {
      name_thread("cw-timers");
      control.run();
    });
  }
  ~Parts() {
    state.stop = true;
    state.wake.control.set();
    state.wake.workers.set();
    for (auto& thread : threads) thread.join();
  }

  [[nodiscard]] Result<std::shared_ptr<UdpSockets>> open_sockets(std::uint16_t port,
                                                                 std::uint32_t mark) const {
    return UdpSockets::open(port, mark, {options.gso, options.gro, state.protocol.index_tag()});
  }
  void use(std::shared_ptr<UdpSockets> sockets) {
    {
      const std::lock_guard lock(state.mutex);
      state.sockets = std::move(sockets);
      state.sockets_generation.fetch_add(1, std::memory_order_release);
    }
    state.wake.workers.set();
    state.wake.control.set();
  }

  const DeviceOptions options;
  std::mutex setting;  // one set() at a time
  std::atomic<std::uint32_t> fwmark{0};
  DeviceState state;
  Workers pool;
  Control control;
  std::vector<std::thread> threads;
};

Device::Device(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Device::~Device() = default;

Result<std::unique_ptr<Device>> Device::open(const DeviceOptions& options) {
  const auto aead = make_aead(options.aead);
  if (aead == nullptr) {
    return fail(Errc::kUnsupported, "engine: the AEAD asked for is not for this CPU");
  }
  auto tun = Tun::open(options.interface, options.tso, options.uso);
  if (!tun) return fail(tun.error());
  const auto workers = options.workers != 0 ? options.workers : default_workers();
  auto parts = std::make_unique<Parts>(options, std::move(*tun), workers);
  auto sockets = parts->open_sockets(0, 0);
  if (!sockets) return fail(sockets.error());
  const auto& state = parts->state;
  log_info("engine started", {{"interface", options.interface},
                              {"aead", aead->name()},
                              {"tso", state.tun.tso()},
                              {"uso", state.tun.uso()},
                              {"gso", (*sockets)->gso()},
                              {"gro", (*sockets)->gro()},
                              {"workers", workers}});
  parts->use(std::move(*sockets));
  parts->start(workers);
  return std::unique_ptr<Device>(new Device(std::move(parts)));
}

namespace {

// The most prefixes that one locked section changes or reads. Packets wait meanwhile, and a peer
// may have 10,000 prefixes.
constexpr std::size_t kPrefixesAtOnce = 128;
constexpr std::size_t kPeersAtOnce = 128;  // the most peers that one locked section reads

// The allowed IPs of one peer, read in parts. A set() may change them between two parts.
std::set<Prefix> allowed_ips_of(DeviceState& state, const Key& key) {
  std::set<Prefix> all;
  std::vector<Prefix> part;
  part.reserve(kPrefixesAtOnce);  // allocates before the lock
  do {
    part.clear();
    {
      const std::lock_guard lock(state.mutex);
      const auto* peer = state.protocol.find_peer(key);
      if (peer == nullptr) break;
      const auto& has = peer->allowed_ips;
      auto at = all.empty() ? has.begin() : has.upper_bound(*all.rbegin());
      for (; at != has.end() && part.size() < kPrefixesAtOnce; ++at) part.push_back(*at);
    }
    all.insert(part.begin(), part.end());
  } while (part.size() == kPrefixesAtOnce);
  return all;
}

void change_allowed_ips(DeviceState& state, const Key& key,
                        std::span<const uapi::AllowedIpEdit> changes) {
  for (; !changes.empty(); changes = changes.subspan(std::min(changes.size(), kPrefixesAtOnce))) {
    const std::lock_guard lock(state.mutex);
    auto* peer = state.protocol.find_peer(key);
    if (peer == nullptr) return;
    for (const auto& one : changes.first(std::min(changes.size(), kPrefixesAtOnce))) {
      one.remove ? state.protocol.remove_allowed_ip(*peer, one.prefix)
                 : state.protocol.add_allowed_ip(*peer, one.prefix);
    }
  }
}

void remove_peer(DeviceState& state, const Key& key) {
  uapi::PeerEdit nothing;
  nothing.replace_allowed_ips = true;
  change_allowed_ips(state, key, allowed_ip_changes(allowed_ips_of(state, key), nothing));
  const std::lock_guard lock(state.mutex);
  state.protocol.remove_peer(key);
}

void apply_peer(DeviceState& state, Output& out, const uapi::PeerEdit& edit) {
  if (edit.remove) return remove_peer(state, edit.key);
  bool there = false;
  state.with_core(out, [&](Protocol& protocol, TimePoint now, WallTime, Output&) {
    auto* peer = edit.update_only ? protocol.find_peer(edit.key) : protocol.add_peer(edit.key);
    if (peer == nullptr) return;  // no such peer, or our own key: ignored
    there = true;
    if (edit.preshared_key) protocol.set_preshared(*peer, *edit.preshared_key);
    if (edit.endpoint) protocol.set_endpoint(*peer, *edit.endpoint);
    if (edit.keepalive_seconds) protocol.set_keepalive(*peer, *edit.keepalive_seconds, now);
  });
  if (!there || (!edit.replace_allowed_ips && edit.allowed_ips.empty())) return;
  change_allowed_ips(state, edit.key, allowed_ip_changes(allowed_ips_of(state, edit.key), edit));
}

void remove_all_peers(DeviceState& state) {
  std::vector<Key> keys;
  {
    const std::lock_guard lock(state.mutex);
    for (const auto& [key, peer] : state.protocol.peers()) keys.push_back(key);
  }
  for (const auto& key : keys) remove_peer(state, key);
}

}  // namespace

Result<> Device::set(const uapi::SetRequest& request) {
  auto& parts = *parts_;
  auto& state = parts.state;
  const std::lock_guard one(parts.setting);
  // Steps that can fail come first, so that an error changes nothing.
  const auto fwmark = request.fwmark.value_or(parts.fwmark.load());
  std::shared_ptr<UdpSockets> now_used;
  {
    const std::lock_guard lock(state.mutex);
    now_used = state.sockets;
  }
  if (request.listen_port && *request.listen_port != now_used->port()) {
    auto sockets = parts.open_sockets(*request.listen_port, fwmark);
    if (!sockets) return fail(std::move(sockets.error()).context("listen"));
    parts.use(std::move(*sockets));
  } else if (fwmark != parts.fwmark) {
    if (auto ok = now_used->set_fwmark(fwmark); !ok) return ok;
  }
  parts.fwmark = fwmark;
  Output out;
  if (request.private_key) {
    state.with_core(out, [&](Protocol& protocol, TimePoint, WallTime, Output&) {
      protocol.set_private_key(*request.private_key);
    });
  }
  if (request.replace_peers) remove_all_peers(state);
  for (const auto& edit : request.peers) apply_peer(state, out, edit);
  return {};
}

Device::Settings Device::settings() const {
  auto& state = parts_->state;
  Settings out;
  out.status.fwmark = parts_->fwmark;
  // Does not take `setting`, or the loop's moves would wait for the whole read.
  std::unique_lock lock(state.mutex);
  if (state.sockets != nullptr) out.status.listen_port = state.sockets->port();
  if (const auto& identity = state.protocol.identity()) {
    out.private_key = identity->private_key;
    out.status.public_key = identity->public_key;
  }
  lock.unlock();
  std::optional<Key> last;
  for (bool more = true; more; lock.unlock()) {
    lock.lock();
    const auto& peers = state.protocol.peers();
    auto at = last ? peers.upper_bound(*last) : peers.begin();
    for (std::size_t n = 0; at != peers.end() && n < kPeersAtOnce; ++at, ++n) {
      const auto& [key, peer] = *at;
      last = key;
      auto& status = out.status.peers[key];
      if (peer->path) status.endpoint = peer->path->remote;
      status.last_handshake = peer->last_handshake;
      status.rx_bytes = peer->rx_bytes;
      status.tx_bytes = peer->tx_bytes;
      status.keepalive_seconds = peer->persistent_keepalive;
      status.has_preshared_key = !peer->preshared_key.is_zero();
      if (status.has_preshared_key) out.preshared_keys[key] = peer->preshared_key;
    }
    more = at != peers.end();
  }
  for (auto& [key, status] : out.status.peers) status.allowed_ips = allowed_ips_of(state, key);
  return out;
}

const std::string& Device::interface() const { return parts_->options.interface; }
bool Device::gone() const { return parts_->state.gone.load(std::memory_order_acquire); }
void Device::wait_gone() const { parts_->state.gone.wait(false); }

}  // namespace cw::tunnel::engine
