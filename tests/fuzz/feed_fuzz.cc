// Messages of a remote gateway. Any bytes give an event within the limits or an error. An accepted
// event reads back the same, and admission accepts nothing outside the allowed prefixes.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "gateway/feed/admission.h"
#include "gateway/feed/messages.h"

namespace {

using namespace cw;           // NOLINT(google-build-using-namespace)
using namespace cw::gateway;  // NOLINT(google-build-using-namespace)

void must(bool holds) {
  if (!holds) std::abort();
}

void admit(const Announcement& announcement) {
  const Prefix allowed = *Prefix::parse("10.0.0.0/8");
  const Prefix local = *Prefix::parse("10.9.0.0/16");
  PrefixRequest claim{"east", {}, {allowed}, announcement.cidrs, {}};
  const auto accepted = accepted_requests({&claim, 1}, {local});
  for (const auto& cidr : accepted.at("east").cidrs) {
    must(allowed.contains(cidr) && !cidr.overlaps(local));
  }
  api::ClusterPeer::Spec peer;
  peer.cluster_id = "east";
  peer.gateways = {{0, "key", {}}};
  const PrefixSet cidrs(accepted.at("east").cidrs);
  for (const auto& gateway : accepted_gateways(announcement, peer, cidrs).gateways) {
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
  if (const auto* announcement = std::get_if<Announcement>(&event->statement)) {
    admit(*announcement);
  }
  if (const auto* record = std::get_if<api::ExportRecord>(&event->statement)) admit(*record);
  return 0;
}
