// The open TCP connections by client: how many each has, which has been quiet for longest, and what
// their buffers take. Decides which one goes when there are too many. No I/O, one thread.
//
//   over the limit of one client   its own quietest goes, if that was quiet for a second; else the
//                                  new one
//   over the limit of all          the quietest of the client that has the most
//   over the memory of all         the one whose messages take the most
#pragma once

#include <chrono>
#include <list>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "base/prefix.h"
#include "base/unique_fd.h"
#include "discovery/dns/server.h"

namespace cw::discovery::dns {

struct Connection {
  using Clock = std::chrono::steady_clock;
  UniqueFd fd;
  IpAddress client;
  std::vector<std::uint8_t> in;
  std::vector<std::uint8_t> out;
  // Since the last whole message: a client that trickles bytes is not busy, only slow.
  Clock::time_point active;
  bool closing = false;      // the client said all it had to say
  std::uint32_t waits = 0;   // the epoll events that it is registered for
  std::size_t buffered = 0;  // its part of Clients::buffered()
  std::list<Connection>::iterator self;
};

class Clients {
 public:
  using Time = Connection::Clock::time_point;
  explicit Clients(const TcpLimits& limits) : limits_(limits) {}

  // Room for one more connection of `client` is made where the limits ask for it. Null: the new one
  // is refused. `evicted`: whether another one went for it.
  [[nodiscard]] Connection* add(const IpAddress& client, Time now, bool& evicted);
  // The connection is closed now. It stays readable until forget_closed(), as events for it may
  // still wait to be looked at; its descriptor is gone.
  void close(Connection& connection);
  void forget_closed() { closed_.clear(); }
  // A whole message came.
  void note_active(Connection& connection, Time now);
  // Its buffers changed. Closes the largest ones while all take too much; returns how many.
  std::size_t note_buffers(Connection& connection);
  // Closes the quietest of the client that has the most; false: there is none.
  bool evict();
  // Closes those that had no whole message for TcpLimits::idle; returns how many.
  std::size_t close_idle(Time now);

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::size_t buffered() const { return buffered_; }

 private:
  // Quietest first.
  using Connections = std::list<Connection>;
  void recount(const IpAddress& client, std::size_t before, std::size_t after);

  TcpLimits limits_;
  std::map<IpAddress, Connections> clients_;
  std::set<std::pair<std::size_t, IpAddress>> by_count_;
  Connections closed_;
  std::size_t size_ = 0;
  std::size_t buffered_ = 0;
};

}  // namespace cw::discovery::dns
