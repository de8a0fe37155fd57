// What gateways of different clusters tell each other, as plain values, and the limits of every
// message. The wire form is api/proto/feed.proto; messages.h converts.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "api/mcs/shares.h"
#include "api/types/export_record.h"
#include "base/contact.h"
#include "base/prefix.h"
#include "gateway/feed/refusal_report.h"
#include "tunnel/probe/party.h"

namespace cw::gateway {

using tunnel::GatewayId;

inline constexpr std::size_t kMaxExports = api::kMaxExports;          // of one cluster
inline constexpr std::size_t kMaxExportBytes = api::kMaxExportBytes;  // encoded, of one cluster
inline constexpr std::size_t kMaxMessage = 4U << 20U;                 // bytes of one event
inline constexpr std::size_t kMaxAnnouncedGateways = 64;              // of one cluster
inline constexpr std::size_t kMaxAnnouncedPrefixes = 10'000;          // of one cluster
inline constexpr std::size_t kMaxAnnouncedNodes = 5'000;              // as Kubernetes has at most
inline constexpr std::size_t kMaxNodePrefixes = 512;                  // of one node
inline constexpr std::size_t kMaxAnnouncedEndpoints = 16;             // of one gateway
inline constexpr std::size_t kMaxResumeToken = 64;                    // bytes

// A gateway as its own cluster describes it.
struct GatewayStatement {
  std::uint32_t ordinal = 0;
  std::string public_key;          // base64, 32 bytes
  std::vector<Contact> endpoints;  // best first
  bool draining = false;
  std::string node;  // that it is on
  friend bool operator==(const GatewayStatement&, const GatewayStatement&) = default;
};

// Pod prefixes by Node name. Under the empty name: those of the cluster as a whole, which belong to
// no node.
using NodePrefixes = std::map<std::string, std::vector<Prefix>>;

// A cluster's statement about itself, as a whole.
struct Announcement {
  std::string cluster;
  NodePrefixes nodes;  // each prefix once; in what was received they are sorted
  std::vector<GatewayStatement> gateways;
  friend bool operator==(const Announcement&, const Announcement&) = default;
};

// The same on the wire: what changed since the announcement with number `since`. Then the nodes
// that are named have these prefixes now, and one without prefixes is gone. Gateways are always
// all.
struct AnnouncedChange {
  std::string cluster;
  std::uint64_t number = 0;  // of the announcement that it makes
  std::uint64_t since = 0;   // 0: nothing; all nodes are named
  NodePrefixes nodes;
  std::vector<GatewayStatement> gateways;
  friend bool operator==(const AnnouncedChange&, const AnnouncedChange&) = default;
};

struct SnapshotBegin {
  friend bool operator==(const SnapshotBegin&, const SnapshotBegin&) = default;
};
struct SnapshotEnd {
  friend bool operator==(const SnapshotEnd&, const SnapshotEnd&) = default;
};
struct Heartbeat {
  friend bool operator==(const Heartbeat&, const Heartbeat&) = default;
};
struct Withdrawn {
  api::ObjectKey service;
  friend bool operator==(const Withdrawn&, const Withdrawn&) = default;
};

using Statement = std::variant<SnapshotBegin, SnapshotEnd, Heartbeat, AnnouncedChange,
                               api::ExportRecord, Withdrawn, RefusalReport>;

struct FeedEvent {
  std::string resume_token;  // empty: no stream can resume here
  Statement statement;
  friend bool operator==(const FeedEvent&, const FeedEvent&) = default;
};

// A message that was dropped: its subject ("announcement", "export shop/db", "message") and its
// mistake. It counts until a good message about the same subject comes.
struct FeedFault {
  std::string subject;
  Error error;
  std::optional<api::ObjectKey> service{};  // if the subject is a certain export
};
inline constexpr std::string_view kAnnouncementSubject = "announcement";
inline constexpr std::string_view kVersionSubject = "feed version";
inline constexpr std::string_view kSnapshotsSubject = "snapshots";
inline constexpr std::string_view kTooManySnapshots =
    "feed: the cluster begins snapshots too often; its feed is read again later";
[[nodiscard]] inline std::string export_subject(const api::ObjectKey& service) {
  return "export " + service.to_string();
}

}  // namespace cw::gateway
