#include "tunnel/kernel/kernel_driver.h"

#include <fmt/format.h>
#include <net/if.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <deque>

#include "tunnel/kernel/wg.h"
#include "tunnel/link.h"

namespace cw::tunnel {

namespace {

void copy_key(wg_key& to, const Key& from) {
  std::copy(from.bytes().begin(), from.bytes().end(), to);
}

Key key_of(const wg_key& from) {
  std::array<std::uint8_t, 32> bytes{};
  std::copy(std::begin(from), std::end(from), bytes.begin());
  return Key(bytes);
}

// The library's linked lists, built over stable storage. The destructor wipes the keys.
struct Request {
  wg_device device{};
  std::deque<wg_peer> peers;
  std::deque<wg_allowedip> allowed_ips;

  ~Request() {
    explicit_bzero(device.private_key, sizeof device.private_key);
    for (auto& peer : peers) explicit_bzero(peer.preshared_key, sizeof peer.preshared_key);
  }
  Request() = default;
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  void flag(wg_device_flags bit) {
    device.flags = static_cast<wg_device_flags>(device.flags | bit);
  }
  wg_peer& add_peer(const Key& key) {
    auto& peer = peers.emplace_back();
    copy_key(peer.public_key, key);
    set_flag(peer, WGPEER_HAS_PUBLIC_KEY);
    if (device.last_peer != nullptr) {
      device.last_peer->next_peer = &peer;
    } else {
      device.first_peer = &peer;
    }
    device.last_peer = &peer;
    return peer;
  }
  static void set_flag(wg_peer& peer, wg_peer_flags bit) {
    peer.flags = static_cast<wg_peer_flags>(peer.flags | bit);
  }
  void add_allowed_ip(wg_peer& peer, const Prefix& prefix) {
    auto& ip = allowed_ips.emplace_back();
    const auto bytes = prefix.address().bytes();
    ip.family = prefix.is_v4() ? AF_INET : AF_INET6;
    if (prefix.is_v4()) {
      std::memcpy(&ip.ip4, bytes.data(), bytes.size());
    } else {
      std::memcpy(&ip.ip6, bytes.data(), bytes.size());
    }
    ip.cidr = static_cast<std::uint8_t>(prefix.length());
    if (peer.last_allowedip != nullptr) {
      peer.last_allowedip->next_allowedip = &ip;
    } else {
      peer.first_allowedip = &ip;
    }
    peer.last_allowedip = &ip;
  }
};

void fill_peer(Request& request, const PeerChange& change) {
  auto& peer = request.add_peer(change.key);
  if (change.remove) return Request::set_flag(peer, WGPEER_REMOVE_ME);
  if (change.replace_allowed_ips) Request::set_flag(peer, WGPEER_REPLACE_ALLOWEDIPS);
  if (change.preshared_key) {
    copy_key(peer.preshared_key, *change.preshared_key);
    Request::set_flag(peer, WGPEER_HAS_PRESHARED_KEY);
  }
  if (change.keepalive_seconds) {
    peer.persistent_keepalive_interval = *change.keepalive_seconds;
    Request::set_flag(peer, WGPEER_HAS_PERSISTENT_KEEPALIVE_INTERVAL);
  }
  if (change.endpoint) {
    sockaddr_storage storage{};
    const auto size = change.endpoint->to_sockaddr(storage);
    std::memcpy(&peer.endpoint, &storage, std::min(size, sizeof peer.endpoint));
  }
  for (const auto& prefix : change.allowed_ips) request.add_allowed_ip(peer, prefix);
}

Result<Prefix> prefix_of(const wg_allowedip& ip) {
  const bool v4 = ip.family == AF_INET;
  const auto* raw = v4 ? static_cast<const void*>(&ip.ip4) : static_cast<const void*>(&ip.ip6);
  const auto address = IpAddress::from_bytes(
      {static_cast<const std::uint8_t*>(raw), v4 ? std::size_t{4} : std::size_t{16}});
  if (!address) return fail(address.error());
  return Prefix::of(*address, ip.cidr);
}

PeerStatus status_of(const wg_peer& peer) {
  PeerStatus status;
  if (auto endpoint = Endpoint::from_sockaddr(&peer.endpoint.addr, sizeof peer.endpoint)) {
    status.endpoint = *endpoint;
  }
  status.last_handshake = WallTime(std::chrono::seconds(peer.last_handshake_time.tv_sec) +
                                   std::chrono::nanoseconds(peer.last_handshake_time.tv_nsec));
  status.rx_bytes = peer.rx_bytes;
  status.tx_bytes = peer.tx_bytes;
  status.keepalive_seconds = peer.persistent_keepalive_interval;
  status.has_preshared_key = !wg_key_is_zero(peer.preshared_key);
  for (const auto* ip = peer.first_allowedip; ip != nullptr; ip = ip->next_allowedip) {
    if (auto prefix = prefix_of(*ip)) status.allowed_ips.insert(*prefix);
  }
  return status;
}

Error wg_error(int code, const std::string& clause) {
  return errno_error(code < 0 ? -code : code, clause + ": wireguard");
}

}  // namespace

bool kernel_has_wireguard() {
  const auto name = fmt::format("cwtry{}", ::getpid() % 100000);
  const int err = wg_add_device(name.c_str());
  if (err == 0) (void)wg_del_device(name.c_str());  // made in the line above, so it is ours
  return err == 0 || err == -EEXIST;
}

Result<DeviceStatus> KernelDriver::open() {
  if (config_.interface.empty() || config_.interface.size() >= IFNAMSIZ) {
    return fail(Errc::kInvalid, fmt::format("interface \"{}\": want 1 to {} characters",
                                            config_.interface, IFNAMSIZ - 1));
  }
  const int err = wg_add_device(config_.interface.c_str());
  if (err == 0) forget();
  if (err != 0 && err != -EEXIST) return fail(wg_error(err, "add " + config_.interface));
  const auto kind = link_kind(config_.interface);
  if (!kind) return fail(kind.error());
  if (*kind && **kind != "wireguard") {
    return fail(Errc::kExists,
                fmt::format("link {} is of kind \"{}\", not wireguard", config_.interface, **kind));
  }
  return read();
}

Result<DeviceStatus> KernelDriver::read() {
  wg_device* raw = nullptr;
  const int err = wg_get_device(&raw, config_.interface.c_str());
  if (err != 0 || raw == nullptr) return fail(wg_error(err, "read " + config_.interface));
  DeviceStatus status;
  if ((raw->flags & WGDEVICE_HAS_PUBLIC_KEY) != 0) status.public_key = key_of(raw->public_key);
  status.listen_port = raw->listen_port;
  status.fwmark = raw->fwmark;
  for (auto* peer = raw->first_peer; peer != nullptr; peer = peer->next_peer) {
    status.peers.emplace(key_of(peer->public_key), status_of(*peer));
    explicit_bzero(peer->preshared_key, sizeof peer->preshared_key);
  }
  explicit_bzero(raw->private_key, sizeof raw->private_key);
  wg_free_device(raw);
  return status;
}

Result<> KernelDriver::set(const DeviceChange& change) {
  Request request;
  std::copy_n(config_.interface.data(),
              std::min<std::size_t>(config_.interface.size(), IFNAMSIZ - 1), request.device.name);
  if (change.private_key) {
    copy_key(request.device.private_key, *change.private_key);
    request.flag(WGDEVICE_HAS_PRIVATE_KEY);
  }
  if (change.listen_port) {
    request.device.listen_port = *change.listen_port;
    request.flag(WGDEVICE_HAS_LISTEN_PORT);
  }
  if (change.fwmark) {
    request.device.fwmark = *change.fwmark;
    request.flag(WGDEVICE_HAS_FWMARK);
  }
  for (const auto& peer : change.peers) fill_peer(request, peer);
  if (const int err = wg_set_device(&request.device); err != 0) {
    return fail(wg_error(err, "set " + config_.interface));
  }
  return {};
}

Result<> KernelDriver::remove() {
  forget();
  return remove_link(config_.interface, "wireguard");
}

}  // namespace cw::tunnel
