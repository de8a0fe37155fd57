// The open TCP connections by client: their number, their activity, and the size of their buffers.
// Decides which connection is closed when there are too many. No I/O. One thread.
//
//   over the limit of one client   its quietest one, if that was quiet for a second; else the new
//                                  one
//   over the limit of all          the quietest one of the client with the most connections
//   over the memory of all         the one whose messages take the most memory
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
  // Time of the last whole message. A client that sends single bytes does not count as active.
  Clock::time_point active;
  bool closing = false;      // the client has closed its sending side
  std::uint32_t waits = 0;   // the epoll events it is registered for
  std::size_t buffered = 0;  // its share of Clients::buffered()
  std::list<Connection>::iterator self;
};

class Clients {
 public:
  using Time = Connection::Clock::time_point;
  explicit Clients(const TcpLimits& limits) : limits_(limits) {}

  // Adds a connection of `client`, and closes another one if a limit requires it. Null: the new one
  // is refused. `evicted`: another one was closed.
  [[nodiscard]] Connection* add(const IpAddress& client, Time now, bool& evicted);
  // Closes the connection and its descriptor. The object stays valid until forget_closed(), because
  // events for it may still be pending.
  void close(Connection& connection);
  void forget_closed() { closed_.clear(); }
  // Call when a whole message arrived.
  void record_activity(Connection& connection, Time now);
  // Call when its buffers changed. While all buffers exceed the limit, closes the connection with
  // the largest ones. Returns how many were closed.
  std::size_t record_buffers(Connection& connection);
  // Closes the quietest connection of the client with the most. False: there is none.
  bool evict();
  // Closes connections without a whole message for TcpLimits::idle. Returns how many.
  std::size_t close_idle(Time now);

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::size_t buffered() const { return buffered_; }

 private:
  // The quietest first.
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
