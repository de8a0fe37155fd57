// A cluster's statements in the order in which they changed. Each export has one place, that of its
// newest version. A withdrawal leaves a tombstone. A stream's position is a cursor: it still has to
// send everything after the cursor. So slow streams need no queues. Not thread-safe.
//
//   version:   3      4      7       9            cursor 4: sends "a" and "-c", then is up to date
//   what:      b      d      a      -c (gone)     a changes again: moves from 7 to 10
//
// A snapshot goes through the exports by name. It has each export that was there when it began, at
// most once. So it ends however fast the cluster changes. Changes since it began come after its
// end.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "gateway/feed/node_log.h"
#include "gateway/feed/statement.h"

namespace cw::gateway {

class FeedLog {
 public:
  // `instance` must differ between processes, because a token means nothing to another instance.
  FeedLog(std::string instance, std::size_t max_withdrawn)
      : instance_(std::move(instance)), max_withdrawn_(max_withdrawn) {}

  // False: the same as before. kTooLarge: over the limits of statement.h. kInvalid: a receiver
  // could not read it. After an error nothing has changed.
  [[nodiscard]] Result<bool> announce(const Announcement& announcement);
  [[nodiscard]] Result<bool> put(const api::ExportRecord& record);
  bool remove(const api::ObjectKey& service);
  bool complete() { return !std::exchange(complete_, true); }  // before it no snapshot begins

  struct Cursor {
    enum class Phase { kStart, kSnapshot, kLive };
    Phase phase = Phase::kStart;
    std::uint64_t announced = 0;  // version of the announcement that was sent; 0: none yet
    std::uint64_t version = 0;    // all exports up to it were sent, or the snapshot has them
    api::ObjectKey snapshot_at;   // the last export that the snapshot sent
  };
  // Continues after the token if it is ours and not too old. Otherwise begins with a snapshot.
  [[nodiscard]] Cursor start(const std::string& resume_token) const;
  // The next message (an encoded Event) for a stream at `cursor`. None: the stream is up to date.
  [[nodiscard]] std::optional<std::string> next(Cursor& cursor) const;
  // A heartbeat for the stream. After the snapshot it carries the token, as exports do.
  [[nodiscard]] std::string heartbeat(const Cursor& cursor) const;

 private:
  struct Entry {
    std::uint64_t version = 0;
    std::string message;
    bool gone = false;
    std::uint64_t came = 0;  // version at which the export appeared
  };

  void place(const api::ObjectKey& service, std::string message, bool gone);
  [[nodiscard]] std::string next_announcement(Cursor& cursor) const;
  [[nodiscard]] std::string next_of_snapshot(Cursor& cursor) const;
  [[nodiscard]] std::string token(std::uint64_t version) const;

  std::string instance_;
  std::size_t max_withdrawn_;
  bool complete_ = false;
  std::uint64_t version_ = 0;
  AnnouncedChange announcement_;  // without nodes; its number is the version
  NodePrefixes announced_nodes_;  // as they were given
  NodeLog nodes_;
  std::map<api::ObjectKey, Entry> entries_;
  std::map<std::uint64_t, api::ObjectKey> order_;
  std::set<std::uint64_t> withdrawn_;  // versions of tombstones
  std::uint64_t horizon_ = 0;          // tombstones up to this version are forgotten
  std::size_t exports_ = 0;            // entries that are not gone
  std::size_t bytes_ = 0;              // of their messages
};

}  // namespace cw::gateway
