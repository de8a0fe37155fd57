// Messages of a remote gateway. Any bytes give an event within the limits or an error. An accepted
// event reads back the same, and admission accepts nothing outside the allowed prefixes.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string_view>
#include <vector>

#include "gateway/feed/admission.h"
#include "gateway/feed/announced.h"
#include "gateway/feed/messages.h"

namespace {

using namespace cw;           // NOLINT(google-build-using-namespace)
using namespace cw::gateway;  // NOLINT(google-build-using-namespace)

void must(bool holds) {
  if (!holds) std::abort();
}

std::vector<Prefix> prefixes_of(const NodePrefixes& nodes) {
  std::vector<Prefix> all;
  for (const auto& [name, prefixes] : nodes) {
    all.insert(all.end(), prefixes.begin(), prefixes.end());
  }
  return all;
}

// A whole announcement, then the change, as a stream and what follows merge them.
void admit(const AnnouncedChange& change) {
  AnnouncedOwners owners;
  Announcement announcement;
  AnnouncedChange whole{"east", std::max<std::uint64_t>(change.since, 1), 0, {}, {}};
  whole.nodes = {{"n", {*Prefix::parse("10.1.0.0/24"), *Prefix::parse("10.1.1.0/24")}},
                 {"m", {*Prefix::parse("10.1.2.0/24")}}};
  const std::array<const AnnouncedChange*, 2> both{&whole, &change};
  for (const auto* next : both) {
    auto taken = owners.take(*next);
    if (!taken) return;
    merge(std::move(*taken), announcement);
    must(announcement.nodes == owners.whole().nodes);
  }
  const auto claimed = prefixes_of(announcement.nodes);
  must(std::set<Prefix>(claimed.begin(), claimed.end()).size() == claimed.size());
  must(claimed.size() <= kMaxAnnouncedPrefixes);
  const Prefix allowed = *Prefix::parse("10.0.0.0/8");
  const Prefix local = *Prefix::parse("10.9.0.0/16");
  PrefixRequest claim{"east", {}, {allowed}, claimed, {}};
  const auto accepted = accepted_requests({&claim, 1}, {local});
  for (const auto& cidr : accepted.at("east").cidrs) {
    must(allowed.contains(cidr) && !cidr.overlaps(local));
  }
  api::ClusterPeer::Spec peer;
  peer.cluster_id = "east";
  peer.gateways = {{0, "key", {}}};
  const auto& cidrs = accepted.at("east").cidrs;
  must(prefixes_of(accepted_nodes(announcement.nodes, cidrs)).size() == cidrs.size());
  for (const auto& gateway : accepted_gateways(announcement, peer).gateways) {
    must(announcement.cluster == "east" && gateway.gateway.public_key == "key");
  }
}

void admit(const api::ExportRecord& record) {
  const Prefix allowed = *Prefix::parse("10.0.0.0/8");
  const PrefixSet cidrs({&allowed, 1});
  for (const auto& endpoint : accepted_export(record, cidrs).record.endpoints) {
    for (const auto& address : endpoint.addresses) must(allowed.contains(address));
  }
  must(EncodedExport(record).record("east") == record);
  must(EncodedExport(record).within(cidrs) == !accepted_export(record, cidrs).refusal);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {  // NOLINT
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  (void)parse_query(bytes);  // any result is fine
  const auto event = parse_event(bytes, "east");
  if (!event) return 0;
  const auto again =
      parse_event(encode_statement(event->statement) + encode_token(event->resume_token), "east");
  must(again && *again == *event);
  if (const auto* change = std::get_if<AnnouncedChange>(&event->statement)) admit(*change);
  if (const auto* record = std::get_if<api::ExportRecord>(&event->statement)) admit(*record);
  if (const auto* report = std::get_if<RefusalReport>(&event->statement)) {
    must(report->groups.size() <= kMaxRefusedGroups);
    must(accepted_by_peer(*report, "east").message.size() <= 32768);  // the CRD's limit
  }
  return 0;
}
