// The remote clusters that a host reaches, according to its route agent's authenticated probes. The
// agent writes them to a small file on a file system in memory, for other processes of the host.
// causeway-discovery reads it while the store is away (docs/protocol/dns.md). A reader trusts the
// file only if root or the reader's own user is the only one that can have written it.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/loop.h"

namespace cw {

struct Reach {
  TimePoint at{};                        // when this was true, on the host's monotonic clock
  std::map<std::string, bool> clusters;  // remote cluster id -> a gateway here reaches it
  friend bool operator==(const Reach&, const Reach&) = default;
};

inline constexpr std::size_t kMostReachClusters = 4096;
inline constexpr Duration kReachEvery = std::chrono::seconds(1);  // the period of writing
inline constexpr Duration kReachStale = std::chrono::seconds(5);  // a reader ignores an older file

[[nodiscard]] std::string reach_text(const Reach& reach);
// `text` may be any bytes. A text with one wrong line is rejected as a whole. kInvalid: rejected.
[[nodiscard]] Result<Reach> parse_reach(std::string_view text);

// Replaces the file atomically, readable for all users of the host. Creates its folder. Without
// fsync: a crash of the host may lose it.
[[nodiscard]] Result<> write_reach(const std::string& path, const Reach& reach);
// kNotFound: there is no file. kDenied: a user other than root and this process's may have written
// it.
[[nodiscard]] Result<Reach> read_reach(const std::string& path);

}  // namespace cw
