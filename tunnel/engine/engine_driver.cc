#include "tunnel/engine/engine_driver.h"

#include <unistd.h>

#include "base/log.h"
#include "tunnel/link.h"
#include "tunnel/uapi/client.h"

namespace cw::tunnel {

namespace {

uapi::SetRequest request_of(const DeviceChange& change) {
  uapi::SetRequest request;
  request.private_key = change.private_key;
  request.listen_port = change.listen_port;
  request.fwmark = change.fwmark;
  for (const auto& peer : change.peers) {
    auto& edit = request.peers.emplace_back();
    edit.key = peer.key;
    edit.remove = peer.remove;
    edit.update_only = !peer.add && !peer.remove;
    edit.replace_allowed_ips = peer.replace_allowed_ips;
    edit.preshared_key = peer.preshared_key;
    edit.endpoint = peer.endpoint;
    edit.keepalive_seconds = peer.keepalive_seconds;
    for (const auto& prefix : peer.allowed_ips) edit.allowed_ips.push_back({prefix, false});
  }
  return request;
}

Result<engine::AeadChoice> aead_of(const std::string& name) {
  if (name == "auto") return engine::AeadChoice::kFastest;
  if (name == "openssl") return engine::AeadChoice::kOpenSsl;
  if (name == "ipsec-mb") return engine::AeadChoice::kIpsecMb;
  return fail(Errc::kInvalid, "tunnel.engine.aead: write auto, openssl or ipsec-mb");
}

}  // namespace

EngineDriver::EngineDriver(DriverConfig config) : config_(std::move(config)) {}

void EngineDriver::drop() {
  uapi_.reset();
  // The destructor waits for threads, so it runs outside of the lock and delays no move.
  std::unique_ptr<engine::Device> gone;
  {
    const auto held = lock();
    gone = std::move(device_);
  }
  forget();
}

Result<DeviceStatus> EngineDriver::open() {
  if (device_ != nullptr && !device_->gone()) return read();
  if (device_ != nullptr) log_warn("interface is gone", {{"interface", config_.interface}});
  drop();
  const auto aead = aead_of(config_.engine.aead);
  if (!aead) return fail(aead.error());
  engine::DeviceOptions options;
  options.interface = config_.interface;
  options.workers = config_.engine.workers;
  options.tso = config_.engine.tso;
  options.uso = config_.engine.uso;
  options.gso = config_.engine.gso;
  options.gro = config_.engine.gro;
  options.aead = *aead;
  auto device = engine::Device::open(options);
  if (!device) return fail(std::move(device.error()).context("engine"));
  {
    const auto held = lock();
    device_ = std::move(*device);
  }
  auto server = engine::UapiServer::listen(config_.socket_dir, *device_);
  if (server) {
    uapi_ = std::move(*server);
  } else {
    // Only people with `wg` need the socket; traffic does not.
    log_warn("no socket for wg(8)", {{"error", server.error().text}});
  }
  return read();
}

Result<DeviceStatus> EngineDriver::read() {
  if (device_ == nullptr || device_->gone()) {
    return fail(Errc::kNotFound, "engine: no device " + config_.interface);
  }
  return device_->settings().status;
}

Result<> EngineDriver::set(const DeviceChange& change) {
  if (device_ == nullptr) return fail(Errc::kNotFound, "engine: no device " + config_.interface);
  return device_->set(request_of(change));
}

Result<> EngineDriver::remove() {
  drop();
  // Another process of ours may have the device: without its interface it ends the device.
  if (auto ok = remove_link(config_.interface, "tun"); !ok) return ok;
  const auto socket = config_.socket_dir + "/" + config_.interface + ".sock";
  const auto reply = uapi::exchange(socket, uapi::kGet, std::chrono::seconds(1));
  // The socket of a process that was killed.
  if (!reply && reply.error().code == Errc::kNotFound) (void)::unlink(socket.c_str());
  return {};
}

}  // namespace cw::tunnel
