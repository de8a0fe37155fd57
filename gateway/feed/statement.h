// What gateways of different clusters tell each other, as plain values, and the limits of every
// message. The wire form is api/proto/feed.proto; messages.h converts.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "api/mcs/shares.h"
#include "api/types/export_record.h"
#include "base/prefix.h"
#include "tunnel/probe/party.h"

namespace cw::gateway {

using tunnel::GatewayId;

inline constexpr std::size_t kMaxExports = api::kMaxExports;          // of one cluster
inline constexpr std::size_t kMaxExportBytes = api::kMaxExportBytes;  // encoded, of one cluster
inline constexpr std::size_t kMaxMessage = 4U << 20U;                 // bytes of one event
inline constexpr std::size_t kMaxAnnouncedGateways = 64;              // of one cluster
inline constexpr std::size_t kMaxAnnouncedCidrs = 10'000;             // of one cluster
inline constexpr std::size_t kMaxAnnouncedEndpoints = 16;             // candidates of one gateway
inline constexpr std::size_t kMaxResumeToken = 64;                    // bytes

// A gateway as its own cluster describes it.
struct GatewayStatement {
  std::uint32_t ordinal = 0;
  std::string public_key;           // base64, 32 bytes
  std::vector<Endpoint> endpoints;  // candidates, best first
  bool draining = false;
  std::vector<Prefix> own;    // pod prefixes of its node
  std::vector<Prefix> homed;  // prefixes it carries now
  friend bool operator==(const GatewayStatement&, const GatewayStatement&) = default;
};

// A cluster's statement about itself. It replaces the announcement before.
struct Announcement {
  std::string cluster;
  std::vector<Prefix> cidrs;  // all pod prefixes
  std::vector<GatewayStatement> gateways;
  friend bool operator==(const Announcement&, const Announcement&) = default;
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

using Statement =
    std::variant<SnapshotBegin, SnapshotEnd, Heartbeat, Announcement, api::ExportRecord, Withdrawn>;

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
