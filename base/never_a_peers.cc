#include "base/never_a_peers.h"

#include <fmt/format.h>

#include <array>
#include <string_view>
#include <utility>
#include <vector>

namespace cw {
namespace {

struct Reserved {
  std::string_view prefix;
  std::string_view what;
};

// From IANA's special-purpose registries: the prefixes whose route would break the host.
constexpr std::array<Reserved, 8> kReserved = {{
    {"0.0.0.0/8", "this network"},
    {"127.0.0.0/8", "loopback"},
    {"169.254.0.0/16", "link-local addresses and cloud metadata"},
    {"224.0.0.0/4", "multicast"},
    {"240.0.0.0/4", "reserved addresses, which Causeway's probes use"},
    // Unspecified, loopback, IPv4-mapped and IPv4-translated addresses.
    {"::/8", "reserved addresses"},
    {"fe80::/10", "link-local addresses"},
    {"ff00::/8", "multicast"},
}};

const std::vector<std::pair<Prefix, std::string_view>>& reserved() {
  static const auto kParsed = [] {
    std::vector<std::pair<Prefix, std::string_view>> list;
    list.reserve(kReserved.size());
    for (const auto& [text, what] : kReserved) list.emplace_back(*Prefix::parse(text), what);
    return list;
  }();
  return kParsed;
}

}  // namespace

std::optional<std::string> never_a_peers(const Prefix& prefix, std::span<const OwnPrefixes> own) {
  const auto widest = prefix.is_v4() ? kWidestV4 : kWidestV6;
  if (prefix.length() < widest) return fmt::format("is wider than /{}", widest);
  for (const auto& [range, what] : reserved()) {
    if (range.overlaps(prefix)) return fmt::format("overlaps {} ({})", range.to_string(), what);
  }
  for (const auto& [what, prefixes] : own) {
    if (const auto hit = prefixes.overlapping(prefix)) {
      return fmt::format("overlaps {} ({})", hit->to_string(), what);
    }
  }
  return std::nullopt;
}

std::optional<std::string> never_an_endpoint(const IpAddress& address,
                                             std::span<const OwnPrefixes> own) {
  for (const auto& [range, what] : reserved()) {
    if (range.contains(address)) return fmt::format("is in {} ({})", range.to_string(), what);
  }
  for (const auto& [what, prefixes] : own) {
    if (const auto hit = prefixes.covering(address)) {
      return fmt::format("is in {} ({})", hit->to_string(), what);
    }
  }
  return std::nullopt;
}

}  // namespace cw
