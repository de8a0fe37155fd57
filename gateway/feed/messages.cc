#include "gateway/feed/messages.h"

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/stubs/logging.h>

#include <algorithm>

#include "api/mcs/export_record.h"
#include "feed.pb.h"
#include "gateway/feed/message_fields.h"

namespace cw::gateway {
namespace {

namespace pb = causeway::feed::v1;

constexpr std::size_t kMaxEndpointAddresses = 8;
constexpr std::int64_t kLastSecond = 9'000'000'000;  // year 2255: nanoseconds fit 64 bits

void put(const Prefix& prefix, pb::Prefix& out) {
  const auto bytes = prefix.address().bytes();
  out.set_address(std::string(bytes.begin(), bytes.end()));
  out.set_length(prefix.length());
}

void put(const Announcement& announcement, pb::Announcement& out) {
  out.set_cluster(announcement.cluster);
  for (const auto& cidr : announcement.cidrs) put(cidr, *out.add_cidrs());
  for (const auto& gateway : announcement.gateways) {
    auto& to = *out.add_gateways();
    to.set_ordinal(gateway.ordinal);
    to.set_public_key(gateway.public_key);
    for (const auto& endpoint : gateway.endpoints) to.add_endpoints(endpoint.to_string());
    to.set_draining(gateway.draining);
    for (const auto& prefix : gateway.own) put(prefix, *to.add_own());
    for (const auto& prefix : gateway.homed) put(prefix, *to.add_homed());
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

GatewayStatement take(MessageFields& fields, const pb::Gateway& from) {
  GatewayStatement gateway;
  gateway.ordinal = from.ordinal();
  gateway.public_key = fields.text("gateway.public_key", from.public_key(), 64);
  fields.count("gateway.endpoints", from.endpoints_size(), kMaxAnnouncedEndpoints);
  for (const auto& text : from.endpoints()) {
    if (!fields.good()) break;
    gateway.endpoints.push_back(
        fields.parsed("gateway.endpoints", Endpoint::parse(fields.text("endpoint", text, 64))));
  }
  gateway.draining = from.draining();
  const auto prefixes = [&fields](const char* name, const auto& list, std::vector<Prefix>& out) {
    fields.count(name, list.size(), kMaxAnnouncedCidrs);
    for (const auto& prefix : list) {
      if (!fields.good()) break;
      out.push_back(fields.prefix(name, prefix.address(), prefix.length()));
    }
  };
  prefixes("gateway.own", from.own(), gateway.own);
  prefixes("gateway.homed", from.homed(), gateway.homed);
  return gateway;
}

Announcement take(MessageFields& fields, const pb::Announcement& from) {
  Announcement announcement;
  announcement.cluster = fields.label("cluster", from.cluster());
  fields.count("cidrs", from.cidrs_size(), kMaxAnnouncedCidrs);
  for (const auto& cidr : from.cidrs()) {
    if (!fields.good()) break;
    announcement.cidrs.push_back(fields.prefix("cidrs", cidr.address(), cidr.length()));
  }
  fields.count("gateways", from.gateways_size(), kMaxAnnouncedGateways);
  for (const auto& gateway : from.gateways()) {
    if (!fields.good()) break;
    announcement.gateways.push_back(take(fields, gateway));
    for (std::size_t i = 0; i + 1 < announcement.gateways.size(); ++i) {
      if (announcement.gateways[i].ordinal == gateway.ordinal()) {
        fields.wrong("gateways", fmt::format("ordinal {} twice", gateway.ordinal()));
      }
    }
  }
  return announcement;
}

api::ObjectKey take(MessageFields& fields, const pb::ExportKey& from) {
  return {fields.label("key.namespace", from.namespace_()), fields.label("key.name", from.name())};
}

api::ServicePort take(MessageFields& fields, const pb::Port& from) {
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
std::map<std::string, std::string> take(MessageFields& fields, std::string_view field,
                                        const google::protobuf::Map<std::string, std::string>& from,
                                        bool labels) {
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

api::ExportEndpoint take(MessageFields& fields, const pb::Endpoint& from, std::size_t sets) {
  api::ExportEndpoint endpoint;
  fields.count("endpoint.addresses", from.addresses_size(), kMaxEndpointAddresses);
  if (from.addresses_size() == 0) fields.wrong("endpoint.addresses", "none");
  for (const auto& bytes : from.addresses()) {
    if (!fields.good()) break;
    endpoint.addresses.push_back(fields.unicast("endpoint.addresses", bytes));
  }
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

api::PortSet take(MessageFields& fields, const google::protobuf::RepeatedPtrField<pb::Port>& from) {
  api::PortSet ports;
  for (const auto& port : from) {
    if (!fields.good()) break;
    auto taken = take(fields, port);
    ports.push_back({std::move(taken.name), std::move(taken.protocol),
                     std::move(taken.app_protocol), taken.port});
  }
  return ports;
}

std::vector<api::PortSet> take_port_sets(MessageFields& fields, const pb::Export& from) {
  std::vector<api::PortSet> sets;
  int ports = 0;
  fields.count("target_ports", from.target_ports_size(), api::kMaxTargetPorts);
  fields.count("port_sets", from.port_sets_size(), api::kMaxPortSets);
  for (const auto& set : from.port_sets()) ports += set.ports_size();
  fields.count("port_sets.ports", ports, api::kMaxTargetPorts);
  if (!fields.good()) return sets;
  for (const auto& set : from.port_sets()) sets.push_back(take(fields, set.ports()));
  if (sets.empty() && from.target_ports_size() > 0) {
    sets.push_back(take(fields, from.target_ports()));
  }
  return sets;
}

void take_policies(MessageFields& fields, const pb::Export& from, api::ExportRecord& record) {
  fields.count("cluster_ips", from.cluster_ips_size(), 2);
  for (const auto& text : from.cluster_ips()) {
    (void)fields.parsed("cluster_ips", IpAddress::parse(text));  // a check only
    if (fields.good()) record.cluster_ips.push_back(text);
  }
  fields.count("ip_families", from.ip_families_size(), 2);
  for (const auto& family : from.ip_families()) {
    if (!fields.good()) break;
    record.ip_families.push_back(fields.one_of("ip_families", family, {"IPv4", "IPv6"}));
  }
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

api::ExportRecord take(MessageFields& fields, const pb::Export& from, const std::string& cluster) {
  api::ExportRecord record;
  record.cluster = cluster;
  record.service = take(fields, from.key());
  if (from.exported_at() < 0 || from.exported_at() > kLastSecond) {
    fields.wrong("exported_at", "not a time");
  } else {
    record.exported_at = WallTime(std::chrono::seconds(from.exported_at()));
  }
  record.headless = from.headless();
  fields.count("ports", from.ports_size(), api::kMaxExportPorts);
  for (const auto& port : from.ports()) {
    if (!fields.good()) break;
    record.ports.push_back(take(fields, port));
  }
  record.port_sets = take_port_sets(fields, from);
  take_policies(fields, from, record);
  record.labels = take(fields, "labels", from.labels(), true);
  record.annotations = take(fields, "annotations", from.annotations(), false);
  fields.count("endpoints", from.endpoints_size(), api::kMaxExportEndpoints);
  for (const auto& endpoint : from.endpoints()) {
    if (!fields.good()) break;
    record.endpoints.push_back(take(fields, endpoint, record.port_sets.size()));
  }
  std::sort(record.endpoints.begin(), record.endpoints.end());
  record.endpoints.erase(std::unique(record.endpoints.begin(), record.endpoints.end()),
                         record.endpoints.end());
  return record;
}

Statement take(MessageFields& fields, const pb::Event& event, const std::string& cluster) {
  switch (event.kind_case()) {
    case pb::Event::kSnapshotBegin:
      return SnapshotBegin{};
    case pb::Event::kSnapshotEnd:
      return SnapshotEnd{};
    case pb::Event::kHeartbeat:
      return Heartbeat{};
    case pb::Event::kAnnouncement:
      return take(fields, event.announcement());
    case pb::Event::kExport:
      return take(fields, event.export_(), cluster);
    case pb::Event::kWithdrawn:
      return Withdrawn{take(fields, event.withdrawn())};
    case pb::Event::KIND_NOT_SET:
      break;
  }
  // An unknown kind, from a newer sender. It counts as a heartbeat.
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

template <typename T>
Result<T> checked(const MessageFields& fields, T value) {
  if (fields.good()) return value;
  return fail(fields.error());
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
  return checked(fields, std::move(query));
}

std::string encode_statement(const Statement& statement) {
  pb::Event event;
  struct Put {
    pb::Event& event;
    void operator()(const SnapshotBegin&) const { (void)event.mutable_snapshot_begin(); }
    void operator()(const SnapshotEnd&) const { (void)event.mutable_snapshot_end(); }
    void operator()(const Heartbeat&) const { (void)event.mutable_heartbeat(); }
    void operator()(const Announcement& value) const { put(value, *event.mutable_announcement()); }
    void operator()(const api::ExportRecord& value) const { put(value, *event.mutable_export_()); }
    void operator()(const Withdrawn& value) const {
      put(value.service, *event.mutable_withdrawn());
    }
  };
  std::visit(Put{event}, statement);
  return written(event);
}

std::string encode_token(std::string_view resume_token) {
  pb::Event event;
  event.set_resume_token(std::string(resume_token));
  return written(event);
}

Result<FeedEvent> parse_event(std::string_view bytes, const std::string& cluster) {
  pb::Event message;
  if (bytes.size() > kMaxMessage) return fail(Errc::kTooLarge, "feed event: over 4 MiB");
  if (!read(message, bytes)) return fail(Errc::kInvalid, "feed event: not a message");
  MessageFields fields("feed event");
  FeedEvent event;
  event.resume_token = fields.text("resume_token", message.resume_token(), kMaxResumeToken);
  event.statement = take(fields, message, cluster);
  return checked(fields, std::move(event));
}

std::string subject_of(std::string_view bytes) {
  pb::Event message;
  if (bytes.size() > kMaxMessage || !read(message, bytes)) return "message";
  if (message.has_announcement()) return std::string(kAnnouncementSubject);
  if (!message.has_export_() && !message.has_withdrawn()) return "message";
  MessageFields fields("");
  const auto key =
      take(fields, message.has_export_() ? message.export_().key() : message.withdrawn());
  return fields.good() ? export_subject(key) : "export";
}

std::string encode_record(const api::ExportRecord& record) {
  pb::Export message;
  put(record, message);
  return written(message);
}

Result<api::ExportRecord> parse_record(std::string_view bytes, const std::string& cluster) {
  pb::Export message;
  if (bytes.size() > kMaxMessage) return fail(Errc::kTooLarge, "export: over 4 MiB");
  if (!read(message, bytes)) return fail(Errc::kInvalid, "export: not a message");
  MessageFields fields("export");
  return checked(fields, take(fields, message, cluster));
}

}  // namespace cw::gateway
