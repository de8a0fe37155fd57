#include "gateway/peers/no_answer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "api/types/meta.h"
#include "gateway/peers/endpoint_trials.h"

namespace cw::gateway {
namespace {

constexpr std::size_t kNamed = 4;  // endpoints in a sentence; the others are counted

// Addresses that are reachable only inside their own network.
bool is_private(const IpAddress& address) {
  static const std::array kRanges{*Prefix::parse("10.0.0.0/8"),     *Prefix::parse("172.16.0.0/12"),
                                  *Prefix::parse("192.168.0.0/16"), *Prefix::parse("100.64.0.0/10"),
                                  *Prefix::parse("169.254.0.0/16"), *Prefix::parse("fc00::/7"),
                                  *Prefix::parse("fe80::/10")};
  return std::any_of(kRanges.begin(), kRanges.end(),
                     [&](const Prefix& range) { return range.contains(address); });
}

std::string named(const std::vector<Endpoint>& endpoints) {
  std::string text;
  for (std::size_t n = 0; n < std::min(endpoints.size(), kNamed); ++n) {
    text += (n == 0 ? "" : ", ") + endpoints[n].to_string();
  }
  if (endpoints.size() > kNamed) text += fmt::format(" and {} more", endpoints.size() - kNamed);
  return text;
}

}  // namespace

std::string no_answer(const Attempts& attempts, WallTime now) {
  const bool never = attempts.last_handshake == WallTime{};
  if (attempts.endpoints.empty() && never) {
    return "its ClusterPeer names no usable endpoint, so it must call this gateway, and has not "
           "yet. If neither side can be reached from outside, give one of them a reachable "
           "endpoint";
  }
  // A tunnel without traffic makes a new handshake only when its session ends.
  if (now - std::max(attempts.since, attempts.last_handshake) <
      (never ? kNoAnswerIsTold : kSessionLife))
    return {};
  const auto since = never ? fmt::format("no handshake was answered since {}, the first try",
                                         api::format_time(attempts.since))
                           : fmt::format("no handshake was answered since the last one at {}",
                                         api::format_time(attempts.last_handshake));
  if (attempts.endpoints.empty()) {
    return since +
           ". Its ClusterPeer names no usable endpoint, so it must call this gateway: check that "
           "it runs";
  }
  const bool all_private =
      std::all_of(attempts.endpoints.begin(), attempts.endpoints.end(),
                  [](const Endpoint& endpoint) { return is_private(endpoint.address); });
  return fmt::format(
      "{}. Tried: {}. {}{}", since, named(attempts.endpoints),
      all_private
          ? "These are private addresses. If the clusters share no network, give one side an "
            "endpoint that the other can reach"
          : "Check that the gateway runs and that UDP packets reach it",
      never ? ". If one of the two gateways is newer than the pairing: `causewayctl pair --refresh`"
            : "");
}

}  // namespace cw::gateway
