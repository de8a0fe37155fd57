// Probes through the gateways of the own cluster (docs/protocol/probe.md): the node's side, with a
// PathDetector a path, and the remote gateway's side, which sends back what it gets. Loop thread
// only.
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
  // What a decision rests on; measurements alone are no news.
  [[nodiscard]] bool says_as(const PathView& other) const {
    return verdict == other.verdict && floor == other.floor;
  }
};

struct ThroughConfig {
  std::map<Family, IpAddress> local;  // asks from these; a family without one is not probed
  // Paths of this gateway begin on its own node: they are asked about from these addresses.
  std::optional<std::uint32_t> own_gateway = {};
  std::map<Family, IpAddress> own = {};
  std::uint16_t port = 0;  // ours and theirs
  PathConfig path;         // the interval is set_paths()'s
  friend bool operator==(const ThroughConfig& a, const ThroughConfig& b) {
    return a.local == b.local && a.own_gateway == b.own_gateway && a.own == b.own &&
           a.port == b.port && a.path.full == b.path.full;
  }
};

class ThroughProber {
 public:
  // A verdict or a floor changed. Must not destroy the prober.
  using OnChange = std::function<void()>;
  // Addresses by path: through_address() of each remote gateway.
  using Paths = std::map<PathKey, std::vector<IpAddress>>;

  // kUnavailable if an address cannot be bound.
  [[nodiscard]] static Result<std::unique_ptr<ThroughProber>> open(Loop& loop, Random& random,
                                                                   ThroughConfig config,
                                                                   OnChange on_change);
  virtual ~ThroughProber() = default;
  // The whole wanted set; paths that stay keep what is known of them.
  virtual void set_paths(const Paths& paths, Duration interval) = 0;
  [[nodiscard]] virtual std::map<PathKey, PathView> views() const = 0;
};

// Sends echo requests back to where they came from.
class EchoServer {
 public:
  // Bound to `device` as well, if it is not empty.
  [[nodiscard]] static Result<std::unique_ptr<EchoServer>> open(Loop& loop, const Endpoint& local,
                                                                const std::string& device);
  virtual ~EchoServer() = default;
};

}  // namespace cw::tunnel
