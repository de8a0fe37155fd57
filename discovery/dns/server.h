// The DNS server: UDP on one SO_REUSEPORT socket a worker and listening address, TCP on one thread.
// Workers answer from the newest published Table and share nothing else; swapping tables never
// blocks them. Start, publish and stop from one thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/prefix.h"
#include "base/snapshot.h"
#include "discovery/dns/table.h"

namespace cw::discovery::dns {

struct ServerConfig {
  std::vector<Endpoint> listen;  // UDP and TCP
  unsigned workers = 1;          // UDP threads a listening address
  std::chrono::seconds tcp_idle{10};
  std::size_t tcp_connections = 256;
  std::size_t tcp_per_client = 16;
};

struct ServerCounters {
  std::atomic<std::uint64_t> udp{0};
  std::atomic<std::uint64_t> tcp{0};
  std::atomic<std::uint64_t> dropped{0};    // not even an error could be answered
  std::atomic<std::uint64_t> truncated{0};  // answered with the TC bit
  std::array<std::atomic<std::uint64_t>, 17> rcodes{};
};

// The answer to one message; 0: none. `out` is at least `limit` and 512 bytes.
[[nodiscard]] std::size_t respond(const Table& table, std::span<const std::uint8_t> message,
                                  bool tcp, unsigned rotate, std::span<std::uint8_t> out,
                                  ServerCounters& counters);

class Server {
 public:
  // kUnavailable or kDenied if an address is taken or not ours: the message names it.
  [[nodiscard]] static Result<std::unique_ptr<Server>> start(const ServerConfig& config);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  void publish(std::shared_ptr<const Table> table) { table_.publish(std::move(table)); }
  [[nodiscard]] const ServerCounters& counters() const { return counters_; }
  // Where it listens (ports chosen by the kernel where the configuration says 0).
  [[nodiscard]] const std::vector<Endpoint>& bound() const { return bound_; }

 private:
  Server() = default;
  Snapshot<Table> table_{std::make_shared<Table>()};
  ServerCounters counters_;
  std::vector<Endpoint> bound_;
  int stop_ = -1;  // eventfd: readable when it is time to go
  std::vector<std::thread> threads_;
};

}  // namespace cw::discovery::dns
