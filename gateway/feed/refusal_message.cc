#include "gateway/feed/refusal_message.h"

#include <algorithm>
#include <array>
#include <utility>

#include "feed.pb.h"

namespace cw::gateway {
namespace {

namespace pb = causeway::feed::v1;

// The codes stay the same in all versions, whatever the order of RefusalReason is.
constexpr std::array kReasonCodes{
    std::pair(RefusalReason::kOutsideAllowed, 1U),  std::pair(RefusalReason::kOverlapsLocal, 2U),
    std::pair(RefusalReason::kNeverAPeers, 3U),     std::pair(RefusalReason::kHoldsEndpoint, 4U),
    std::pair(RefusalReason::kOverlapsCluster, 5U), std::pair(RefusalReason::kUnknownGateway, 6U),
    std::pair(RefusalReason::kOtherCluster, 7U),    std::pair(RefusalReason::kTooLarge, 8U),
    std::pair(RefusalReason::kTooOften, 9U),        std::pair(RefusalReason::kInvalid, 10U)};

std::uint32_t code_of(RefusalReason reason) {
  for (const auto& [known, code] : kReasonCodes) {
    if (known == reason) return code;
  }
  return 0;
}

RefusalReason reason_of(std::uint32_t code) {
  for (const auto& [reason, known] : kReasonCodes) {
    if (known == code) return reason;
  }
  return RefusalReason::kOther;
}

void put_group(const RefusedGroup& group, pb::RefusedGroup& out) {
  out.set_reason(code_of(group.reason));
  out.set_count(group.count);
  for (const auto& prefix : group.prefixes) {
    const auto bytes = prefix.address().bytes();
    auto& to = *out.add_prefixes();
    to.set_address(std::string(bytes.begin(), bytes.end()));
    to.set_length(prefix.length());
  }
  for (const auto ordinal : group.gateways) out.add_gateways(ordinal);
  for (const auto& service : group.exports) {
    auto& to = *out.add_exports();
    to.set_namespace_(service.ns);
    to.set_name(service.name);
  }
}

RefusedGroup parse_group(MessageFields& fields, const pb::RefusedGroup& from) {
  RefusedGroup group{reason_of(from.reason()), from.count()};
  fields.count("refused.prefixes", from.prefixes_size(), kMaxRefusedSubjects);
  fields.count("refused.gateways", from.gateways_size(), kMaxRefusedSubjects);
  fields.count("refused.exports", from.exports_size(), kMaxRefusedSubjects);
  if (!fields.good()) return group;
  for (const auto& prefix : from.prefixes()) {
    group.prefixes.push_back(fields.prefix("refused.prefixes", prefix.address(), prefix.length()));
  }
  group.gateways.assign(from.gateways().begin(), from.gateways().end());
  for (const auto& service : from.exports()) {
    group.exports.push_back({fields.label("refused.namespace", service.namespace_()),
                             fields.label("refused.name", service.name())});
  }
  return group;
}

}  // namespace

void put_refusals(const RefusalReport& report, pb::RefusalReport& out) {
  for (const auto& group : report.groups) put_group(group, *out.add_groups());
}

RefusalReport parse_refusals(MessageFields& fields, const pb::RefusalReport& from) {
  RefusalReport report;
  fields.count("refused", from.groups_size(), kMaxRefusedGroups);
  if (!fields.good()) return report;
  report.groups.reserve(static_cast<std::size_t>(from.groups_size()));
  for (const auto& group : from.groups()) report.groups.push_back(parse_group(fields, group));
  return report;
}

}  // namespace cw::gateway
