// What one cluster tells another one about the statements that it refuses of it. The refused side
// shows it as the condition AcceptedByPeer of its ClusterPeer. A report has codes, prefixes,
// ordinals and names of Services, and no sentences: this cluster makes the sentences itself. Pure.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "gateway/feed/refusal.h"

namespace cw::gateway {

inline constexpr std::size_t kMaxRefusedGroups = 16;    // of one report
inline constexpr std::size_t kMaxRefusedSubjects = 16;  // of one group and kind

// The refusals for one reason.
struct RefusedGroup {
  RefusalReason reason{};
  std::uint32_t count = 0;  // of refusals, with those that are not named
  std::vector<Prefix> prefixes{};
  std::vector<std::uint32_t> gateways{};
  std::vector<api::ObjectKey> exports{};
  friend bool operator==(const RefusedGroup&, const RefusedGroup&) = default;
};

// It replaces the report before. Empty: everything is accepted.
struct RefusalReport {
  std::vector<RefusedGroup> groups;
  friend bool operator==(const RefusalReport&, const RefusalReport&) = default;
};

// In the order of the reasons, within the limits above.
[[nodiscard]] RefusalReport report_of(std::span<const Refusal> refusals);

// The condition AcceptedByPeer of the ClusterPeer of `cluster`, which sent the report.
// True/Accepted, or False with the reason of the first group. Its message names what is refused,
// and the remedy. The caller sets time and generation.
[[nodiscard]] api::Condition accepted_by_peer(const RefusalReport& report,
                                              const std::string& cluster);

}  // namespace cw::gateway
