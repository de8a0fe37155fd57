#include "tunnel/fake/fake_driver.h"

#include <fmt/format.h>

namespace cw::tunnel {

Result<> FakeDriver::injected() {
  if (failures_.empty()) return {};
  auto error = std::move(failures_.front());
  failures_.pop_front();
  return fail(std::move(error));
}

Result<> FakeDriver::set(const DeviceChange& change) {
  if (auto ok = injected(); !ok) return ok;
  if (change.private_key) {
    status_.public_key = change.private_key->public_key();
    log_ += "private-key\n";
  }
  if (change.listen_port) {
    status_.listen_port = *change.listen_port;
    log_ += fmt::format("listen-port {}\n", *change.listen_port);
  }
  if (change.fwmark) status_.fwmark = *change.fwmark;
  for (const auto& peer : change.peers) {
    const auto id = peer.key.base64().substr(0, 8);
    if (peer.remove) {
      status_.peers.erase(peer.key);
      log_ += fmt::format("remove {}\n", id);
      continue;
    }
    auto& status = status_.peers[peer.key];
    log_ += fmt::format("{} {}", peer.add ? "add" : "set", id);
    if (peer.replace_allowed_ips) {
      status.allowed_ips.clear();
      log_ += " replace";
    }
    for (const auto& prefix : peer.allowed_ips) {
      for (auto& [key, other] : status_.peers) other.allowed_ips.erase(prefix);
      status_.peers[peer.key].allowed_ips.insert(prefix);
      log_ += " allow " + prefix.to_string();
    }
    if (peer.endpoint) {
      status.endpoint = peer.endpoint;
      log_ += " endpoint " + peer.endpoint->to_string();
    }
    if (peer.keepalive_seconds) status.keepalive_seconds = *peer.keepalive_seconds;
    if (peer.preshared_key) status.has_preshared_key = !peer.preshared_key->is_zero();
    log_ += "\n";
  }
  return {};
}

Result<DeviceStatus> FakeDriver::open() {
  if (auto ok = injected(); !ok) return fail(ok.error());
  exists_ = true;
  auto status = status_;
  if (before_apply_) before_apply_();
  return status;
}

Result<DeviceStatus> FakeDriver::read() {
  if (auto ok = injected(); !ok) return fail(ok.error());
  if (!exists_) return fail(Errc::kNotFound, "no device");
  return status_;
}

Result<> FakeDriver::remove() {
  if (auto ok = injected(); !ok) return ok;
  exists_ = false;
  status_ = {};
  forget();
  return {};
}

}  // namespace cw::tunnel
