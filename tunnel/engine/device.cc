#include "tunnel/engine/device.h"

#include <algorithm>
#include <thread>
#include <vector>

#include "base/log.h"
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
    for (std::size_t i = 0; i < workers; ++i) threads.emplace_back([this] { pool.run(); });
    threads.emplace_back([this] { control.run(); });
  }
  ~Parts() {
    state.stop = true;
    state.wake_control.set();
    state.wake_workers.set();
    for (auto& thread : threads) thread.join();
  }

  [[nodiscard]] Result<std::shared_ptr<UdpSockets>> open_sockets(std::uint16_t port,
                                                                 std::uint32_t mark) const {
    return UdpSockets::open(port, mark, {options.gso, options.gro, state.core.index_tag()});
  }
  void use(std::shared_ptr<UdpSockets> sockets) {
    {
      const std::lock_guard lock(state.mutex);
      state.sockets = std::move(sockets);
      state.sockets_generation.fetch_add(1, std::memory_order_release);
    }
    state.wake_workers.set();
    state.wake_control.set();
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

void apply_peer(Core& core, const uapi::PeerEdit& edit, TimePoint now) {
  if (edit.remove) return core.remove_peer(edit.key);
  auto* peer = edit.update_only ? core.find_peer(edit.key) : core.add_peer(edit.key);
  if (peer == nullptr) return;  // not there, or ourselves: passed over silently
  if (edit.preshared_key) core.set_preshared(*peer, *edit.preshared_key);
  if (edit.endpoint) core.set_endpoint(*peer, *edit.endpoint);
  if (edit.replace_allowed_ips) {
    for (const auto& prefix : std::set<Prefix>(peer->allowed_ips)) {
      core.remove_allowed_ip(*peer, prefix);
    }
  }
  for (const auto& one : edit.allowed_ips) {
    one.remove ? core.remove_allowed_ip(*peer, one.prefix) : core.add_allowed_ip(*peer, one.prefix);
  }
  if (edit.keepalive_seconds) core.set_keepalive(*peer, *edit.keepalive_seconds, now);
}

}  // namespace

Result<> Device::set(const uapi::SetRequest& request) {
  auto& parts = *parts_;
  auto& state = parts.state;
  const std::lock_guard one(parts.setting);
  // What can fail comes first.
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
  state.with_core(out, [&](Core& core, TimePoint now, WallTime, Output&) {
    if (request.private_key) core.set_private_key(*request.private_key);
    if (request.replace_peers) {
      while (!core.peers().empty()) core.remove_peer(Key(core.peers().begin()->first));
    }
    for (const auto& edit : request.peers) apply_peer(core, edit, now);
  });
  return {};
}

Device::Settings Device::settings() const {
  auto& state = parts_->state;
  Settings out;
  out.status.fwmark = parts_->fwmark;
  const std::lock_guard lock(state.mutex);
  if (state.sockets != nullptr) out.status.listen_port = state.sockets->port();
  if (const auto& identity = state.core.identity()) {
    out.private_key = identity->private_key;
    out.status.public_key = identity->public_key;
  }
  for (const auto& [key, peer] : state.core.peers()) {
    auto& status = out.status.peers[key];
    if (peer->path) status.endpoint = peer->path->remote;
    status.last_handshake = peer->last_handshake;
    status.rx_bytes = peer->rx_bytes;
    status.tx_bytes = peer->tx_bytes;
    status.keepalive_seconds = peer->persistent_keepalive;
    status.has_preshared_key = !peer->preshared_key.is_zero();
    status.allowed_ips = peer->allowed_ips;
    if (status.has_preshared_key) out.preshared_keys[key] = peer->preshared_key;
  }
  return out;
}

const std::string& Device::interface() const { return parts_->options.interface; }
bool Device::gone() const { return parts_->state.gone.load(std::memory_order_acquire); }
void Device::wait_gone() const { parts_->state.gone.wait(false); }

}  // namespace cw::tunnel::engine
