#include "gateway/feed/messages.h"

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/stubs/logging.h>
#include <google/protobuf/wire_format_lite.h>

#include <algorithm>
#include <functional>
#include <set>
#include <vector>

#include "api/mcs/export_record.h"
#include "feed.pb.h"
#include "gateway/feed/message_fields.h"
#include "gateway/feed/refusal_message.h"

namespace cw::gateway {
namespace {

namespace pb = causeway::feed::v1;

constexpr std::size_t kMaxEndpointAddresses = 8;
constexpr std::string_view kOverMessage = "feed event: over 4 MiB";
constexpr std::int64_t kLastSecond = 9'000'000'000;  // year 2255: nanoseconds fit 64 bits

void put(const Prefix& prefix, pb::Prefix& out) {
  const auto bytes = prefix.address().bytes();
  out.set_address(std::string(bytes.begin(), bytes.end()));
  out.set_length(prefix.length());
}

void put(const AnnouncedChange& change, pb::AnnouncedChange& out) {
  out.set_cluster(change.cluster);
  out.set_number(change.number);
  out.set_since(change.since);
  for (const auto& [name, prefixes] : change.nodes) {
    auto& to = *out.add_nodes();
    to.set_name(name);
    for (const auto& prefix : prefixes) put(prefix, *to.add_prefixes());
  }
  for (const auto& gateway : change.gateways) {
    auto& to = *out.add_gateways();
    to.set_ordinal(gateway.ordinal);
    to.set_public_key(gateway.public_key);
    for (const auto& endpoint : gateway.endpoints) to.add_endpoints(endpoint.to_string());
    to.set_draining(gateway.draining);
    to.set_node(gateway.node);
  }
}

void put(const api::ObjectKey& key, pb::ExportKey& out) {
  out.set_namespace_(key.ns);
  out.set_name(key.name);
}

void put(const api::ServicePort& port, pb::Port& out) {
  out.set_name(port.name);
  out.set_protocol(port.protocol);
  out.set_app_protocol(port.app_protocol);
  out.set_port(port.port);
  out.set_target_port(port.target_port);
}

void put(const api::PortSet& ports, google::protobuf::RepeatedPtrField<pb::Port>& out) {
  for (const auto& port : ports) {
    put(api::ServicePort{port.name, port.protocol, port.app_protocol, port.port, ""}, *out.Add());
  }
}

void put(const api::ExportRecord& record, pb::Export& out) {
  put(record.service, *out.mutable_key());
  out.set_exported_at(
      std::chrono::duration_cast<std::chrono::seconds>(record.exported_at.time_since_epoch())
          .count());
  out.set_headless(record.headless);
  for (const auto& port : record.ports) put(port, *out.add_ports());
  // A reader of version 1.0 knows one set only, so it gets the first.
  if (!record.port_sets.empty()) put(record.port_sets.front(), *out.mutable_target_ports());
  if (api::only_as_sets(record.port_sets)) {
    for (const auto& ports : record.port_sets) put(ports, *out.add_port_sets()->mutable_ports());
  }
  for (const auto& ip : record.cluster_ips) out.add_cluster_ips(ip);
  for (const auto& family : record.ip_families) out.add_ip_families(family);
  out.set_session_affinity(record.session_affinity);
  if (record.session_affinity_timeout.has_value()) {
    out.set_session_affinity_timeout(*record.session_affinity_timeout);
  }
  out.set_internal_traffic_policy(record.internal_traffic_policy);
  out.set_traffic_distribution(record.traffic_distribution);
  for (const auto& [key, value] : record.labels) (*out.mutable_labels())[key] = value;
  for (const auto& [key, value] : record.annotations) (*out.mutable_annotations())[key] = value;
  for (const auto& endpoint : record.endpoints) {
    auto& to = *out.add_endpoints();
    for (const auto& address : endpoint.addresses) {
      const auto bytes = address.bytes();
      to.add_addresses(std::string(bytes.begin(), bytes.end()));
    }
    to.set_hostname(endpoint.hostname);
    to.set_zone(endpoint.zone);
    to.set_ready(endpoint.ready);
    to.set_serving(endpoint.serving);
    to.set_terminating(endpoint.terminating);
    to.set_port_set(endpoint.ports);
    to.set_pod(endpoint.pod);
  }
}

// Each item of a list, up to the first problem.
template <typename List, typename One>
auto parse_list(MessageFields& fields, std::string_view field, const List& from, std::size_t most,
                const One& one) {
  std::vector<decltype(one(*from.begin()))> list;
  fields.count(field, from.size(), most);
  for (const auto& item : from) {
    if (!fields.good()) break;
    list.push_back(one(item));
  }
  return list;
}

// Sorted, each once.
std::vector<Prefix> parse(MessageFields& fields,
                          const google::protobuf::RepeatedPtrField<pb::Prefix>& from) {
  auto prefixes =
      parse_list(fields, "node.prefixes", from, kMaxNodePrefixes, [&](const pb::Prefix& prefix) {
        return fields.prefix("node.prefixes", prefix.address(), prefix.length());
      });
  std::sort(prefixes.begin(), prefixes.end());
  prefixes.erase(std::unique(prefixes.begin(), prefixes.end()), prefixes.end());
  return prefixes;
}

NodePrefixes parse(MessageFields& fields,
                   const google::protobuf::RepeatedPtrField<pb::Node>& from) {
  NodePrefixes nodes;
  fields.count("nodes", from.size(), kMaxAnnouncedNodes);
  std::size_t total = 0;
  for (const auto& node : from) {
    total += static_cast<std::size_t>(node.prefixes_size());
    if (total > kMaxAnnouncedPrefixes) {
      fields.too_large("node.prefixes",
                       fmt::format("more than {} of all nodes together", kMaxAnnouncedPrefixes));
    }
    if (!fields.good()) break;
    auto name = node.name().empty() ? std::string() : fields.node_name("node.name", node.name());
    const auto [at, fresh] = nodes.emplace(std::move(name), parse(fields, node.prefixes()));
    if (!fresh) fields.wrong("nodes", fmt::format("node {} twice", at->first));
  }
  return nodes;
}

GatewayStatement parse(MessageFields& fields, const pb::Gateway& from) {
  GatewayStatement gateway;
  gateway.ordinal = from.ordinal();
  gateway.public_key = fields.text("gateway.public_key", from.public_key(), 64);
  gateway.endpoints =
      parse_list(fields, "gateway.endpoints", from.endpoints(), kMaxAnnouncedEndpoints,
                 [&](const std::string& text) {
                   return fields.parsed("gateway.endpoints",
                                        Contact::parse(fields.text("endpoint", text, kMaxContact)));
                 });
  gateway.draining = from.draining();
  if (!from.node().empty()) gateway.node = fields.node_name("gateway.node", from.node());
  return gateway;
}

AnnouncedChange parse(MessageFields& fields, const pb::AnnouncedChange& from) {
  AnnouncedChange announcement;
  announcement.cluster = fields.label("cluster", from.cluster());
  announcement.number = from.number();
  announcement.since = from.since();
  if (from.number() <= from.since()) fields.wrong("number", "is not above since");
  announcement.nodes = parse(fields, from.nodes());
  std::set<std::uint32_t> ordinals;
  announcement.gateways = parse_list(
      fields, "gateways", from.gateways(), kMaxAnnouncedGateways, [&](const pb::Gateway& gateway) {
        if (!ordinals.insert(gateway.ordinal()).second) {
          fields.wrong("gateways", fmt::format("ordinal {} twice", gateway.ordinal()));
        }
        return parse(fields, gateway);
      });
  return announcement;
}

api::ObjectKey parse(MessageFields& fields, const pb::ExportKey& from) {
  return {fields.label("key.namespace", from.namespace_()), fields.label("key.name", from.name())};
}

api::ServicePort parse(MessageFields& fields, const pb::Port& from) {
  api::ServicePort port;
  if (!from.name().empty()) port.name = fields.label("port.name", from.name());
  port.protocol = fields.one_of("port.protocol", from.protocol(), {"TCP", "UDP", "SCTP"});
  if (!from.app_protocol().empty()) {
    port.app_protocol = fields.qualified_name("port.app_protocol", from.app_protocol());
  }
  port.port = fields.port("port.port", from.port());
  port.target_port = fields.text("port.target_port", from.target_port(), 63);
  return port;
}

// Labels and annotations go onto objects of this cluster. What its API server would refuse is
// refused here, by name.
std::map<std::string, std::string> parse(
    MessageFields& fields, std::string_view field,
    const google::protobuf::Map<std::string, std::string>& from, bool labels) {
  std::map<std::string, std::string> entries;
  std::size_t bytes = 0;
  fields.count(field, static_cast<int>(from.size()), api::kMaxExportLabels);
  for (const auto& [key, value] : from) {
    bytes += key.size() + value.size();
    if (bytes > api::kMaxExportMetadata) fields.too_large(field, "more than 16 KiB");
    if (!fields.good()) break;
    auto name = fields.qualified_name(field, key);
    entries.emplace(std::move(name), labels ? fields.label_value(field, key, value) : value);
  }
  return entries;
}

api::ExportEndpoint parse(MessageFields& fields, const pb::Endpoint& from, std::size_t sets) {
  api::ExportEndpoint endpoint;
  if (from.addresses_size() == 0) fields.wrong("endpoint.addresses", "none");
  endpoint.addresses = parse_list(
      fields, "endpoint.addresses", from.addresses(), kMaxEndpointAddresses,
      [&](const std::string& bytes) { return fields.unicast("endpoint.addresses", bytes); });
  std::sort(endpoint.addresses.begin(), endpoint.addresses.end());
  endpoint.hostname = fields.label("endpoint.hostname", from.hostname());
  endpoint.zone = fields.text("endpoint.zone", from.zone(), 63);
  endpoint.ready = from.ready();
  endpoint.serving = from.has_serving() ? from.serving() : from.ready();
  endpoint.terminating = from.terminating();
  endpoint.ports = from.port_set();
  if (endpoint.ports != 0 && endpoint.ports >= sets) {
    fields.wrong("endpoint.port_set", "there is no such set");
  }
  if (!from.pod().empty()) endpoint.pod = fields.label("endpoint.pod", from.pod());
  return endpoint;
}

std::vector<api::PortSet> parse_port_sets(MessageFields& fields, const pb::Export& from) {
  // The limit is of all sets together.
  int ports = 0;
  for (const auto& set : from.port_sets()) ports += set.ports_size();
  fields.count("port_sets.ports", ports, api::kMaxTargetPorts);
  const auto set_of = [&fields](const auto& list) {
    return parse_list(fields, "target_ports", list, api::kMaxTargetPorts,
                      [&](const pb::Port& port) {
                        auto parsed = parse(fields, port);
                        return api::SlicePort{std::move(parsed.name), std::move(parsed.protocol),
                                              std::move(parsed.app_protocol), parsed.port};
                      });
  };
  auto sets = parse_list(fields, "port_sets", from.port_sets(), api::kMaxPortSets,
                         [&](const pb::PortSet& set) { return set_of(set.ports()); });
  if (sets.empty() && from.target_ports_size() > 0) sets.push_back(set_of(from.target_ports()));
  return sets;
}

void parse_policies(MessageFields& fields, const pb::Export& from, api::ExportRecord& record) {
  record.cluster_ips =
      parse_list(fields, "cluster_ips", from.cluster_ips(), 2, [&](const std::string& text) {
        (void)fields.parsed("cluster_ips", IpAddress::parse(text));  // a check only
        return text;
      });
  record.ip_families =
      parse_list(fields, "ip_families", from.ip_families(), 2, [&](const std::string& family) {
        return fields.one_of("ip_families", family, {"IPv4", "IPv6"});
      });
  record.session_affinity =
      fields.one_of("session_affinity", from.session_affinity(), {"None", "ClientIP"});
  if (from.has_session_affinity_timeout()) {
    record.session_affinity_timeout = from.session_affinity_timeout();
    if (from.session_affinity_timeout() < 1 || from.session_affinity_timeout() > 86400) {
      fields.wrong("session_affinity_timeout", "not within 1..86400");
    }
  }
  record.internal_traffic_policy = fields.one_of(
      "internal_traffic_policy", from.internal_traffic_policy(), {"", "Cluster", "Local"});
  record.traffic_distribution =
      fields.text("traffic_distribution", from.traffic_distribution(), 63);
}

api::ExportRecord parse(MessageFields& fields, const pb::Export& from, const std::string& cluster) {
  api::ExportRecord record;
  record.cluster = cluster;
  record.service = parse(fields, from.key());
  if (from.exported_at() < 0 || from.exported_at() > kLastSecond) {
    fields.wrong("exported_at", "not a time");
  } else {
    record.exported_at = WallTime(std::chrono::seconds(from.exported_at()));
  }
  record.headless = from.headless();
  record.ports = parse_list(fields, "ports", from.ports(), api::kMaxExportPorts,
                            [&](const pb::Port& port) { return parse(fields, port); });
  record.port_sets = parse_port_sets(fields, from);
  parse_policies(fields, from, record);
  record.labels = parse(fields, "labels", from.labels(), true);
  record.annotations = parse(fields, "annotations", from.annotations(), false);
  auto& endpoints = record.endpoints;
  endpoints = parse_list(fields, "endpoints", from.endpoints(), api::kMaxExportEndpoints,
                         [&](const pb::Endpoint& endpoint) {
                           return parse(fields, endpoint, record.port_sets.size());
                         });
  std::sort(endpoints.begin(), endpoints.end());
  endpoints.erase(std::unique(endpoints.begin(), endpoints.end()), endpoints.end());
  return record;
}

Statement parse(MessageFields& fields, const pb::Event& event, const std::string& cluster) {
  switch (event.kind_case()) {
    case pb::Event::kSnapshotBegin:
      return SnapshotBegin{};
    case pb::Event::kSnapshotEnd:
      return SnapshotEnd{};
    case pb::Event::kAnnouncement:
      return parse(fields, event.announcement());
    case pb::Event::kExport:
      return parse(fields, event.export_(), cluster);
    case pb::Event::kWithdrawn:
      return Withdrawn{parse(fields, event.withdrawn())};
    case pb::Event::kRefusals:
      return parse_refusals(fields, event.refusals());
    case pb::Event::kHeartbeat:
    case pb::Event::KIND_NOT_SET:  // an unknown kind, from a newer sender
      break;
  }
  return Heartbeat{};
}

template <typename Message>
bool read(Message& message, std::string_view bytes) {
  // Otherwise protobuf prints each mistake of a peer to standard error.
  const google::protobuf::LogSilencer quiet;
  return message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

// Deterministic (maps in key order), so equal records have equal bytes.
std::string written(const google::protobuf::MessageLite& message) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream out(&stream);
    out.SetSerializationDeterministic(true);
    (void)message.SerializeToCodedStream(&out);  // fails only on a full stream
  }
  return bytes;
}

pb::Event message_of(const Statement& statement) {
  pb::Event event;
  struct Put {
    pb::Event& event;
    void operator()(const SnapshotBegin&) const { (void)event.mutable_snapshot_begin(); }
    void operator()(const SnapshotEnd&) const { (void)event.mutable_snapshot_end(); }
    void operator()(const Heartbeat&) const { (void)event.mutable_heartbeat(); }
    void operator()(const AnnouncedChange& value) const {
      put(value, *event.mutable_announcement());
    }
    void operator()(const api::ExportRecord& value) const { put(value, *event.mutable_export_()); }
    void operator()(const Withdrawn& value) const {
      put(value.service, *event.mutable_withdrawn());
    }
    void operator()(const RefusalReport& value) const {
      put_refusals(value, *event.mutable_refusals());
    }
  };
  std::visit(Put{event}, statement);
  return event;
}

// Visits each of these length-delimited fields, up to the end or limit of `in`.
template <typename Visit>
void each_field(google::protobuf::io::CodedInputStream& in, int field, const Visit& visit) {
  using Wire = google::protobuf::internal::WireFormatLite;
  while (const auto tag = in.ReadTag()) {
    if (tag != Wire::MakeTag(field, Wire::WIRETYPE_LENGTH_DELIMITED)) {
      if (!Wire::SkipField(&in, tag)) return;
      continue;
    }
    const auto rest = in.ReadLengthAndPushLimit();
    visit();
    in.PopLimit(rest);
  }
}

}  // namespace

std::string encode_query(const WatchQuery& query) {
  pb::WatchRequest message;
  message.set_cluster(query.caller.cluster);
  message.set_ordinal(query.caller.ordinal);
  message.set_resume_token(query.resume_token);
  return written(message);
}

Result<WatchQuery> parse_query(std::string_view bytes) {
  pb::WatchRequest message;
  if (bytes.size() > 4096) return fail(Errc::kTooLarge, "feed request: over 4096 bytes");
  if (!read(message, bytes)) return fail(Errc::kInvalid, "feed request: not a message");
  MessageFields fields("feed request");
  WatchQuery query;
  query.caller = {fields.label("cluster", message.cluster()), message.ordinal()};
  query.resume_token = fields.text("resume_token", message.resume_token(), kMaxResumeToken);
  if (!fields.good()) return fail(fields.error());
  return query;
}

std::string encode_statement(const Statement& statement) { return written(message_of(statement)); }

Result<std::string> encode_checked(const Statement& statement, const std::string& cluster) {
  const auto message = message_of(statement);
  MessageFields fields("feed event");
  (void)parse(fields, message, cluster);  // as a receiver does; here only the checks count
  if (!fields.good()) return fail(fields.error());
  auto bytes = written(message);
  if (bytes.size() > kMaxMessage) return fail(Errc::kTooLarge, std::string(kOverMessage));
  return bytes;
}

std::string encode_token(std::string_view resume_token) {
  pb::Event event;
  event.set_resume_token(std::string(resume_token));
  return written(event);
}

Result<FeedEvent> parse_event(std::string_view bytes, const std::string& cluster) {
  pb::Event message;
  if (bytes.size() > kMaxMessage) return fail(Errc::kTooLarge, std::string(kOverMessage));
  if (!read(message, bytes)) return fail(Errc::kInvalid, "feed event: not a message");
  MessageFields fields("feed event");
  FeedEvent event;
  event.resume_token = fields.text("resume_token", message.resume_token(), kMaxResumeToken);
  event.statement = parse(fields, message, cluster);
  if (!fields.good()) return fail(fields.error());
  return event;
}

FeedFault fault_of(std::string_view bytes, Error error) {
  FeedFault fault{"message", std::move(error)};
  pb::Event message;
  if (bytes.size() > kMaxMessage || !read(message, bytes)) return fault;
  if (message.has_announcement()) fault.subject = kAnnouncementSubject;
  if (!message.has_export_() && !message.has_withdrawn()) return fault;
  MessageFields fields("");
  auto key = parse(fields, message.has_export_() ? message.export_().key() : message.withdrawn());
  fault.subject = fields.good() ? export_subject(key) : "export";
  if (fields.good()) fault.service = std::move(key);
  return fault;
}

EncodedExport::EncodedExport(const api::ExportRecord& record) {
  pb::Export message;
  put(record, message);
  bytes_ = written(message);
}

api::ExportRecord EncodedExport::record(const std::string& cluster) const {
  pb::Export message;
  (void)read(message, bytes_);  // our own bytes
  MessageFields fields("export");
  return parse(fields, message, cluster);
}

std::uint64_t EncodedExport::fingerprint() const { return std::hash<std::string>{}(bytes_); }

bool EncodedExport::within(const PrefixSet& cidrs) const {
  google::protobuf::io::CodedInputStream in(reinterpret_cast<const std::uint8_t*>(bytes_.data()),
                                            static_cast<int>(bytes_.size()));
  bool inside = true;
  each_field(in, pb::Export::kEndpointsFieldNumber, [&] {
    each_field(in, pb::Endpoint::kAddressesFieldNumber, [&] {
      std::string address;
      (void)in.ReadString(&address, in.BytesUntilLimit());
      const auto parsed = IpAddress::from_bytes(octets(address));
      inside = inside && parsed && cidrs.contains(*parsed);
    });
  });
  return inside;
}

}  // namespace cw::gateway
