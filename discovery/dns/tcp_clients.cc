#include "discovery/dns/tcp_clients.h"

namespace cw::discovery::dns {

namespace {

// The query of a younger connection may still be on its way.
constexpr std::chrono::seconds kQuiet{1};

}  // namespace

void Clients::recount(const IpAddress& client, std::size_t before, std::size_t after) {
  if (before != 0) by_count_.erase({before, client});
  if (after != 0) by_count_.insert({after, client});
  size_ = size_ - before + after;
}

Connection* Clients::add(const IpAddress& client, Time now, bool& evicted) {
  evicted = false;
  const auto known = clients_.find(client);
  if (known != clients_.end() && known->second.size() >= limits_.per_client) {
    auto& quietest = known->second.front();
    if (now - quietest.active < kQuiet) return nullptr;
    close(quietest);
    evicted = true;
  } else if (size_ >= limits_.connections) {
    evicted = evict();
  }
  auto& own = clients_[client];
  auto& made = own.emplace_back();
  made.self = std::prev(own.end());
  made.client = client;
  made.active = now;
  recount(client, own.size() - 1, own.size());
  return &made;
}

void Clients::close(Connection& connection) {
  const auto client = connection.client;
  const auto of = clients_.find(client);
  buffered_ -= connection.buffered;
  connection.buffered = 0;
  connection.fd.reset();
  connection.in = {};
  connection.out = {};
  const auto before = of->second.size();
  closed_.splice(closed_.end(), of->second, connection.self);
  recount(client, before, before - 1);
  if (before == 1) clients_.erase(of);
}

void Clients::record_activity(Connection& connection, Time now) {
  connection.active = now;
  auto& own = clients_.find(connection.client)->second;
  own.splice(own.end(), own, connection.self);
}

std::size_t Clients::record_buffers(Connection& connection) {
  const auto now = connection.in.capacity() + connection.out.capacity();
  buffered_ = buffered_ - connection.buffered + now;
  connection.buffered = now;
  std::size_t closed = 0;
  while (buffered_ > limits_.buffered) {
    Connection* largest = nullptr;
    for (auto& [client, own] : clients_) {
      for (auto& one : own) {
        if (largest == nullptr || one.buffered > largest->buffered) largest = &one;
      }
    }
    if (largest == nullptr) break;
    close(*largest);
    ++closed;
  }
  return closed;
}

bool Clients::evict() {
  if (by_count_.empty()) return false;
  close(clients_.find(std::prev(by_count_.end())->second)->second.front());
  return true;
}

std::size_t Clients::close_idle(Time now) {
  std::size_t closed = 0;
  for (auto at = clients_.begin(); at != clients_.end();) {
    auto& own = at->second;
    ++at;  // closing its last connection removes the client
    for (auto left = own.size(); left > 0; --left) {
      if (now - own.front().active < limits_.idle) break;
      close(own.front());
      ++closed;
    }
  }
  return closed;
}

}  // namespace cw::discovery::dns
