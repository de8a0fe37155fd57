// The DNS server. UDP has one SO_REUSEPORT socket per worker and listening address, TCP one thread
// per listening address. The threads answer from the newest published Table. They share only that
// and the lock-free table of the rate limit. A new table never blocks them. Start, publish and stop
// from one thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/prefix.h"
#include "base/prefix_set.h"
#include "base/snapshot.h"
#include "base/unique_fd.h"
#include "discovery/dns/counters.h"
#include "discovery/dns/response_rate.h"
#include "discovery/dns/table.h"

namespace cw::discovery::dns {

// One client may be the DNS server of a whole cluster, with one connection for each query that it
// waits for. At 8,000 queries per second whose answers take 100 ms, that is 800 connections.
struct TcpLimits {
  std::chrono::nanoseconds idle = std::chrono::seconds(10);  // without a whole message
  std::uint32_t connections = 8192;                          // per listening address
  std::uint32_t per_client = 4096;                           // of these, from one client address
  std::size_t buffered = std::size_t{64} << 20U;             // message bytes per listening address
};

[[nodiscard]] inline std::vector<Prefix> loopback() {
  return {*Prefix::parse("127.0.0.0/8"), *Prefix::parse("::1/128")};
}

struct ServerConfig {
  // Addresses for UDP and TCP. A wildcard of a family that the kernel lacks is left out, unless no
  // other address remains.
  std::vector<Endpoint> listen;
  unsigned workers = 1;  // UDP threads per listening address
  TcpLimits tcp;
  ResponseRateConfig rate;
  std::uint64_t seed = 0;  // for the rate limit's table
  // Other clients than these and those of allow() get only REFUSED, which is no longer than their
  // query, at a bounded rate.
  std::vector<Prefix> allow_from = loopback();
  unsigned refusals = 50;  // per second and UDP worker; further ones are dropped
};

struct Asked {
  bool tcp = false;
  bool truncate = false;  // over the rate limit: send an empty answer with the TC bit
  unsigned rotate = 0;    // where address sets start
  bool refuse = false;    // the client is not allowed: send REFUSED
  unsigned part = 0;      // where a part of an address set starts: part_for() of the client
};
// The same value for all queries of one client.
[[nodiscard]] unsigned part_for(const IpAddress& client);
// The answer to one message. 0: none. `out` must have room for any answer over that transport:
// 65,535 bytes over TCP, kUdpEdns over UDP.
[[nodiscard]] std::size_t respond(const Table& table, std::span<const std::uint8_t> message,
                                  const Asked& asked, std::span<std::uint8_t> out,
                                  Counters& counters);

// Shared by all threads.
struct Shared {
  explicit Shared(const ServerConfig& config);
  Snapshot<PrefixSet> allowed;
  unsigned refusals;
  Snapshot<Table> table{std::make_shared<Table>()};
  ResponseRate rate;
  TcpLimits tcp;
  std::atomic<bool> stopping{false};
};

class Server {
 public:
  // kUnavailable or kDenied: an address is in use or not of this host. The text names it.
  [[nodiscard]] static Result<std::unique_ptr<Server>> start(const ServerConfig& config);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Also frees older tables that no thread reads any more, so that the answering threads need not.
  void publish(std::shared_ptr<const Table> table);
  // The clients that are allowed in addition to the configured ones.
  void allow(const std::vector<Prefix>& clients);
  // The listening addresses, with the ports that the kernel chose where the configuration says 0.
  [[nodiscard]] const std::vector<Endpoint>& bound() const { return bound_; }

  // A serving thread and its counters.
  struct Thread {
    Counters counters;
    std::thread runs;
    UniqueFd socket;
    UniqueFd poll;  // for TCP
    bool tcp = false;
  };
  [[nodiscard]] const std::vector<std::unique_ptr<Thread>>& threads() const { return threads_; }

 private:
  explicit Server(const ServerConfig& config) : shared_(config), allow_from_(config.allow_from) {}
  Shared shared_;
  std::vector<Prefix> allow_from_;
  std::vector<std::shared_ptr<const Table>> held_;  // the newest, and older ones still read
  std::vector<Endpoint> bound_;
  UniqueFd stop_;  // an eventfd, readable when the threads must stop
  std::vector<std::unique_ptr<Thread>> threads_;
};

}  // namespace cw::discovery::dns
