// The DNS names among the endpoints of remote gateways: which one to look up next, and which
// addresses each has. A name is looked up when it is new, again while its gateway does not work,
// and now and then while it works. A lookup that fails leaves the last addresses in use, because
// the WireGuard handshake proves who answers there. Pure: time is an argument.
#pragma once

#include <compare>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/loop.h"
#include "base/prefix.h"

namespace cw::gateway {

inline constexpr std::size_t kMaxNameAddresses = 8;  // of one name; the rest is left out

// A name belongs to the cluster whose gateway has it, so that no cluster's names delay another's.
struct NameOf {
  std::string cluster;
  std::string name;
  friend auto operator<=>(const NameOf&, const NameOf&) = default;
};

class NameBook {
 public:
  // Between two lookups of a name whose gateway does not work. It doubles with each lookup.
  static constexpr Duration kFirstPause = std::chrono::seconds(5);
  static constexpr Duration kLongestPause = std::chrono::seconds(60);
  // Between two lookups of a name whose gateways work.
  static constexpr Duration kCalmPause = std::chrono::minutes(5);

  // The whole set of names. True: a gateway with that name does not work.
  void set_wanted(const std::map<NameOf, bool>& wanted);
  // The name to look up now. It is one of the cluster whose last lookup is the oldest. No value:
  // none is due.
  [[nodiscard]] std::optional<NameOf> due(TimePoint now) const;
  // The result of a lookup. True: the addresses or the trouble of the name changed.
  bool record(const NameOf& name, const Result<std::vector<IpAddress>>& found, TimePoint now);

  [[nodiscard]] const std::vector<IpAddress>& addresses(const NameOf& name) const;
  // Why the name has no fresh addresses: "has no address", "the name server does not answer".
  // Empty: it has some, or it was not looked up yet.
  [[nodiscard]] std::string trouble(const NameOf& name) const;

 private:
  struct Entry {
    bool failing = true;
    TimePoint next{};  // zero: now
    Duration pause = kFirstPause;
    std::vector<IpAddress> addresses;
    std::string trouble;
  };
  std::map<NameOf, Entry> names_;
  std::map<std::string, TimePoint> served_;  // the last lookup of each cluster
};

// Alternates between the families, beginning with the first address. The order within a family
// stays. No address is there twice. At most kMaxNameAddresses.
[[nodiscard]] std::vector<IpAddress> alternating(const std::vector<IpAddress>& found);

}  // namespace cw::gateway
