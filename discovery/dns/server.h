// The DNS server: UDP on one SO_REUSEPORT socket a worker and listening address, TCP on one thread
// a listening address. Threads answer from the newest published Table and share nothing else but
// the table of the rate limit, which has no locks; swapping tables never blocks them. Start,
// publish and stop from one thread.
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

// One client may be the DNS server of a whole cluster, which opens a connection for each query that
// it waits for: at 8,000 queries per second that answers take 100 ms for, 800 of them.
struct TcpLimits {
  std::chrono::nanoseconds idle = std::chrono::seconds(10);  // without a whole message
  std::size_t connections = 8192;                            // of one listening address
  std::size_t per_client = 4096;                             // of them from one address
  std::size_t buffered = std::size_t{64} << 20U;             // bytes of all their messages
};

[[nodiscard]] inline std::vector<Prefix> loopback() {
  return {*Prefix::parse("127.0.0.0/8"), *Prefix::parse("::1/128")};
}

struct ServerConfig {
  // UDP and TCP. A wildcard of a family that the kernel does not have is left out, unless nothing
  // else is here.
  std::vector<Endpoint> listen;
  unsigned workers = 1;  // UDP threads a listening address
  TcpLimits tcp;
  ResponseRateConfig rate;
  std::uint64_t seed = 0;  // of the rate limit's table
  // Clients outside of these and of what allow() says get no answer but REFUSED, which is no larger
  // than their query, and that at a bounded rate.
  std::vector<Prefix> allow_from = loopback();
  unsigned refusals = 50;  // a second and UDP worker; the others are dropped
};

struct Asked {
  bool tcp = false;
  bool truncate = false;  // over the rate limit: an empty answer with the TC bit
  unsigned rotate = 0;    // where address sets start
  bool refuse = false;    // of a client that is not ours: REFUSED
  unsigned part = 0;      // where a part of an address set starts: part_for() of the client
};
// The same for all queries of one client.
[[nodiscard]] unsigned part_for(const IpAddress& client);
// The answer to one message; 0: none. `out` has room for any answer over that transport: 65,535
// bytes over TCP, kUdpEdns over UDP.
[[nodiscard]] std::size_t respond(const Table& table, std::span<const std::uint8_t> message,
                                  const Asked& asked, std::span<std::uint8_t> out,
                                  Counters& counters);

// What all threads share, read by any of them.
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
  // kUnavailable or kDenied if an address is taken or not ours: the message names it.
  [[nodiscard]] static Result<std::unique_ptr<Server>> start(const ServerConfig& config);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Frees, here and not in a thread that answers, the tables that no thread reads any more.
  void publish(std::shared_ptr<const Table> table);
  // The clients that are answered, beside those of the configuration.
  void allow(const std::vector<Prefix>& clients);
  // Where it listens (ports chosen by the kernel where the configuration says 0).
  [[nodiscard]] const std::vector<Endpoint>& bound() const { return bound_; }

  // Each serving thread and what it counted so far.
  struct Thread {
    Counters counters;
    std::thread runs;
    UniqueFd socket;
    UniqueFd poll;  // of TCP
    bool tcp = false;
  };
  [[nodiscard]] const std::vector<std::unique_ptr<Thread>>& threads() const { return threads_; }

 private:
  explicit Server(const ServerConfig& config) : shared_(config), allow_from_(config.allow_from) {}
  Shared shared_;
  std::vector<Prefix> allow_from_;
  std::vector<std::shared_ptr<const Table>> held_;  // the newest, and what threads still read
  std::vector<Endpoint> bound_;
  UniqueFd stop_;  // eventfd: readable when it is time to go
  std::vector<std::unique_ptr<Thread>> threads_;
};

}  // namespace cw::discovery::dns
