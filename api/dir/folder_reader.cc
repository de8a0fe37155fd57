#include "api/dir/folder_reader.h"

#include <sys/inotify.h>

#include <cerrno>

namespace cw::api {

namespace fs = std::filesystem;

namespace {

constexpr std::uint32_t kEvents = IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE |
                                  IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ATTRIB |
                                  IN_ONLYDIR;

// True: the file itself is wrong, and reading it again would give the same error.
bool is_broken(const Error& error) {
  return error.code == Errc::kInvalid || error.code == Errc::kTooLarge;
}

}  // namespace

Result<> FolderReader::watch(const fs::path& folder, WatchedFolder what, WatchedFolders& into) {
  const int wd = inotify_add_watch(inotify_->get(), folder.c_str(), kEvents);
  if (wd < 0) return fail(errno_error(errno, "store folder " + folder.string()));
  into[wd] = what;
  return {};
}

Result<FolderReader::Begun> FolderReader::begin() {
  if (auto ok = files_.set_up(); !ok) return fail(std::move(ok.error()));
  seen_.clear();
  inotify_ = std::make_shared<UniqueFd>(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!*inotify_) return fail(errno_error(errno, "inotify"));
  Begun begun{inotify_, {}};
  if (auto ok = watch(files_.root(), {Kind{}, true}, begun.folders); !ok) return fail(ok.error());
  for (const auto& kind : all_kinds()) {
    auto ok = watch(files_.folder(kind.kind), {kind.kind, false}, begun.folders);
    if (!ok) return fail(ok.error());
  }
  return begun;
}

void FolderReader::watch_namespaces(Kind kind, WatchedFolders& into) {
  std::error_code error;
  for (fs::directory_iterator at(files_.folder(kind), error), end; !error && at != end;
       at.increment(error)) {
    std::error_code status;
    if (!at->is_directory(status)) continue;
    // Watching a folder again changes nothing. A folder that cannot be watched cannot be read
    // either, and the listing reports it.
    (void)watch(at->path(), {kind, false}, into);
  }
}

void FolderReader::read_one(Kind kind, const ObjectKey& key, Scan& scan) {
  auto& seen = seen_[kind];
  auto& bad = bad_[kind];
  const auto stamp = files_.stamp(kind, key);
  const auto known = seen.find(key);
  if (stamp && known != seen.end() && known->second == *stamp) return;
  seen.erase(key);
  auto body = files_.read(kind, key);
  if (body && !*body) {  // the file was removed meanwhile, or it is a dangling link
    scan.present.erase(key);
    bad.erase(key);
    return;
  }
  const bool final = body.has_value() || is_broken(body.error());
  // A file that was changed just now may change again without a new stamp: do not remember it.
  if (stamp && stamp->settled() && final) seen.emplace(key, *stamp);
  scan.again = scan.again || !final;
  if (body) {
    bad.erase(key);
    scan.changed.push_back(object_of(kind, key, std::move(**body)));
  } else {
    bad[key] = body.error().text;
  }
}

Result<FolderReader::Scan> FolderReader::scan(Kind kind) {
  Scan scan;
  // Watch first, then list: a file that appears in between is found by at least one of the two.
  if (info(kind).namespaced) watch_namespaces(kind, scan.folders);
  auto listing = files_.list(kind);
  if (!listing) return fail(Errc::kUnavailable, listing.error().text);
  scan.present.insert(listing->keys.begin(), listing->keys.end());
  const auto gone = [&](const auto& file) { return scan.present.count(file.first) == 0; };
  std::erase_if(seen_[kind], gone);
  std::erase_if(bad_[kind], gone);
  for (const auto& key : listing->keys) read_one(kind, key, scan);
  for (const auto& [key, why] : bad_[kind]) scan.bad[key.to_string()] = why;
  for (const auto& [ns, why] : listing->unreadable) {
    scan.unreadable.insert(ns);
    scan.bad[ns + "/"] = why;
    scan.again = true;
  }
  return scan;
}

}  // namespace cw::api
