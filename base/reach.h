// Which remote clusters a host reaches, as its route agent sees it by authenticated probes: a small
// file for other processes of the host, on a file system in memory. causeway-discovery reads it
// while the store is away (docs/protocol/dns.md). A reader believes the file because only root, or
// the reader's own user, can have written it.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/loop.h"

namespace cw {

struct Reach {
  TimePoint at{};                        // when it was so, by the host's monotonic clock
  std::map<std::string, bool> clusters;  // remote cluster id -> a gateway here reaches it
  friend bool operator==(const Reach&, const Reach&) = default;
};

inline constexpr std::size_t kMostReachClusters = 4096;
inline constexpr Duration kReachEvery = std::chrono::seconds(1);  // the period of writing
inline constexpr Duration kReachStale = std::chrono::seconds(5);  // a reader ignores what is older

[[nodiscard]] std::string reach_text(const Reach& reach);
// Any bytes. The whole text counts or none of it.
[[nodiscard]] Result<Reach> parse_reach(std::string_view text);

// Replaces the file at once; all users of the host may read it. Makes its folder. A crash of the
// host may lose it.
[[nodiscard]] Result<> write_reach(const std::string& path, const Reach& reach);
// kDenied: others than root and this process's user may have written it. kNotFound: there is none.
[[nodiscard]] Result<Reach> read_reach(const std::string& path);

}  // namespace cw
