// Probes through the gateways of the own cluster (docs/protocol/probe.md). ForwardingProber is the
// node's side, with one PathDetector per path. EchoServer is the remote gateway's side, which sends
// probes back. Loop thread only.
#pragma once

#include <compare>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/prefix.h"
#include "base/random.h"
#include "tunnel/probe/echo.h"
#include "tunnel/probe/path_detector.h"

namespace cw::tunnel {

struct PathKey {
  std::uint32_t gateway = 0;  // ordinal, own cluster
  std::string cluster;        // remote
  Family family = Family::kV4;
  friend auto operator<=>(const PathKey&, const PathKey&) = default;
};

struct PathView {
  PathVerdict verdict = PathVerdict::kUnknown;
  std::optional<std::size_t> floor;  // PathDetector::floor()
  Duration rtt{};
  // Whether both views lead to the same decision. Measurements alone are no news.
  [[nodiscard]] bool says_as(const PathView& other) const {
    return verdict == other.verdict && floor == other.floor;
  }
};

struct ForwardingConfig {
  std::map<Family, IpAddress> local;  // sends from these; a family without an address is not probed
  // The paths of this gateway begin on its own node, which sends from the addresses in `own`.
  std::optional<std::uint32_t> own_gateway = {};
  std::map<Family, IpAddress> own = {};
  std::uint16_t port = 0;  // of both sides
  PathConfig path;         // the interval is set_paths()'s
  friend bool operator==(const ForwardingConfig& a, const ForwardingConfig& b) {
    return a.local == b.local && a.own_gateway == b.own_gateway && a.own == b.own &&
           a.port == b.port && a.path.size.full == b.path.size.full;
  }
};

class ForwardingProber {
 public:
  // A verdict or a floor changed. The callback must not destroy the prober.
  using OnChange = std::function<void()>;
  // Targets by path: forwarding_address() of each remote gateway.
  using Paths = std::map<PathKey, std::vector<IpAddress>>;

  // kUnavailable if an address cannot be bound.
  [[nodiscard]] static Result<std::unique_ptr<ForwardingProber>> open(Loop& loop, Random& random,
                                                                      ForwardingConfig config,
                                                                      OnChange on_change);
  virtual ~ForwardingProber() = default;
  // Sets the whole wanted set. Paths that stay keep their state.
  virtual void set_paths(const Paths& paths, Duration interval) = 0;
  [[nodiscard]] virtual std::map<PathKey, PathView> views() const = 0;
};

// Sends echo requests back to their source.
class EchoServer {
 public:
  // If `device` is not empty, the socket is bound to it.
  [[nodiscard]] static Result<std::unique_ptr<EchoServer>> open(Loop& loop, const Endpoint& local,
                                                                const std::string& device);
  virtual ~EchoServer() = default;
};

}  // namespace cw::tunnel
