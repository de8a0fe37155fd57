#include "gateway/feed/feed_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "gateway/feed/messages.h"

namespace cw::gateway {
namespace {

// As receivers do.
Result<> check(const Announcement& announcement) {
  const AnnouncedChange whole{announcement.cluster, 1, 0, announcement.nodes,
                              announcement.gateways};
  if (auto message = encode_checked(whole, announcement.cluster); !message) {
    return fail(message.error());
  }
  return {};
}

}  // namespace

Result<bool> FeedLog::announce(const Announcement& announcement) {
  AnnouncedChange next{announcement.cluster, announcement_.number, 0, {}, announcement.gateways};
  const bool same_nodes = announcement.nodes == announced_nodes_;
  if (same_nodes && next == announcement_) return false;
  if (auto good = check(announcement); !good) return fail(good.error().context("announcement"));
  const bool nodes = !same_nodes && nodes_.set(announcement.nodes, version_ + 1);
  announced_nodes_ = announcement.nodes;
  if (!nodes && next == announcement_) return false;
  announcement_ = std::move(next);
  announcement_.number = ++version_;
  return true;
}

std::string FeedLog::next_announcement(Cursor& cursor) const {
  auto change = announcement_;
  change.nodes = nodes_.after(cursor.announced, change.since);
  cursor.announced = announcement_.number;
  return encode_statement(change);
}

Result<bool> FeedLog::put(const api::ExportRecord& record) {
  const auto& key = record.service;
  auto message = encode_checked(record, record.cluster);
  if (!message) return fail(message.error().context("export " + key.to_string()));
  const auto known = entries_.find(key);
  const bool had = known != entries_.end() && !known->second.gone;
  if (had && known->second.message == *message) return false;
  const auto bytes = bytes_ + message->size() - (had ? known->second.message.size() : 0);
  if ((!had && exports_ >= kMaxExports) || bytes > kMaxExportBytes) {
    return fail(Errc::kTooLarge, fmt::format("export {}: over {} exports or {} MiB of them",
                                             key.to_string(), kMaxExports, kMaxExportBytes >> 20U));
  }
  bytes_ = bytes;
  if (!had) ++exports_;
  place(key, std::move(*message), false);
  return true;
}

bool FeedLog::remove(const api::ObjectKey& service) {
  const auto known = entries_.find(service);
  if (known == entries_.end() || known->second.gone) return false;
  bytes_ -= known->second.message.size();
  --exports_;
  place(service, encode_statement(Withdrawn{service}), true);
  return true;
}

void FeedLog::place(const api::ObjectKey& service, std::string message, bool gone) {
  auto& entry = entries_[service];
  order_.erase(entry.version);
  withdrawn_.erase(entry.version);
  const bool was_there = entry.version != 0 && !entry.gone;
  ++version_;
  entry = {version_, std::move(message), gone, was_there ? entry.came : version_};
  order_.emplace(entry.version, service);
  if (gone) withdrawn_.insert(entry.version);
  while (withdrawn_.size() > max_withdrawn_) {
    horizon_ = *withdrawn_.begin();
    withdrawn_.erase(withdrawn_.begin());
    const auto oldest = order_.find(horizon_);
    entries_.erase(oldest->second);
    order_.erase(oldest);
  }
}

std::string FeedLog::token(std::uint64_t version) const {
  return fmt::format("{}-{}", instance_, version);
}

FeedLog::Cursor FeedLog::start(const std::string& resume_token) const {
  Cursor cursor;
  if (resume_token.rfind(instance_ + "-", 0) != 0) return cursor;
  const auto* first = resume_token.data() + instance_.size() + 1;
  const auto* last = resume_token.data() + resume_token.size();
  std::uint64_t version = 0;
  const auto [end, error] = std::from_chars(first, last, version);
  if (error != std::errc{} || end != last || version > version_ || version < horizon_) {
    return cursor;
  }
  cursor.phase = Cursor::Phase::kLive;
  cursor.version = version;
  return cursor;
}

std::optional<std::string> FeedLog::next(Cursor& cursor) const {
  if (cursor.announced < announcement_.number) return next_announcement(cursor);
  if (!complete_) return std::nullopt;
  // A stream that missed forgotten withdrawals starts again with a snapshot.
  if (cursor.phase != Cursor::Phase::kStart && cursor.version < horizon_) {
    cursor.phase = Cursor::Phase::kStart;
  }
  if (cursor.phase == Cursor::Phase::kStart) {
    cursor.phase = Cursor::Phase::kSnapshot;
    cursor.version = version_;
    cursor.snapshot_at = {};
    return encode_statement(SnapshotBegin{});
  }
  if (cursor.phase == Cursor::Phase::kSnapshot) return next_of_snapshot(cursor);
  const auto at = order_.upper_bound(cursor.version);
  if (at == order_.end()) return std::nullopt;
  cursor.version = at->first;
  return entries_.at(at->second).message + encode_token(token(at->first));
}

std::string FeedLog::next_of_snapshot(Cursor& cursor) const {
  for (auto at = entries_.upper_bound(cursor.snapshot_at); at != entries_.end(); ++at) {
    const auto& entry = at->second;
    if (entry.gone || entry.came > cursor.version) continue;
    cursor.snapshot_at = at->first;
    return entry.message;
  }
  cursor.phase = Cursor::Phase::kLive;
  return encode_statement(SnapshotEnd{}) + encode_token(token(cursor.version));
}

std::string FeedLog::heartbeat(const Cursor& cursor) const {
  auto message = encode_statement(Heartbeat{});
  if (complete_ && cursor.phase == Cursor::Phase::kLive) {
    message += encode_token(token(cursor.version));
  }
  return message;
}

}  // namespace cw::gateway
