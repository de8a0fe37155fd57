// Why a statement of a remote cluster is not accepted, and which one.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "api/types/meta.h"
#include "base/prefix.h"

namespace cw::gateway {

enum class RefusalReason {
  kOutsideAllowed,   // not within the ClusterPeer's allowedCidrs
  kOverlapsLocal,    // shares addresses with this cluster's own pods
  kNeverAPeers,      // base/never_a_peers.h: special addresses, other networks of this cluster
  kHoldsEndpoint,    // contains the endpoint of a gateway
  kOverlapsCluster,  // shares addresses with a prefix of another cluster
  kUnknownGateway,   // an ordinal or key that the ClusterPeer does not list
  kOtherCluster,     // speaks about another cluster than the sender's
  kTooLarge,         // over a limit of statement.h
  kTooOften,         // over a budget of stream.h; the feed pauses
  kInvalid,          // not readable
  kOther,            // only in reports of newer versions (refusal_report.h)
};
[[nodiscard]] std::string_view reason_name(RefusalReason reason);  // "OutsideAllowed", ...

// What is refused: a prefix, a gateway by its ordinal, or an export. Nothing: something else.
using RefusalSubject = std::variant<std::monostate, Prefix, std::uint32_t, api::ObjectKey>;

struct Refusal {
  RefusalReason reason{};
  std::string message;  // one sentence that names the prefix, gateway or Service
  RefusalSubject subject = {};
  friend auto operator<=>(const Refusal&, const Refusal&) = default;
};

}  // namespace cw::gateway
