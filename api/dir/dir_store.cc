#include "api/dir/dir_store.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <cerrno>
#include <set>

#include "api/dir/files.h"
#include "base/log.h"
#include "base/unique_fd.h"

namespace cw::api {

namespace {

// One process's view of the folder. Any event means: look at the folder it happened in again; the
// files decide, so lost or merged events do no harm.
class DirStore final : public Store {
 public:
  DirStore(Loop& loop, Random& random, const std::string& root)
      : loop_(loop), files_(root), store_(loop, random, files_) {}

  Result<> start() {
    if (auto ok = files_.set_up(); !ok) return ok;
    if (auto ok = begin(); !ok) return ok;
    return {};
  }

  Handle list(const Selector& s, ListDone done) override {
    return with(s.kind).list(s, std::move(done));
  }
  Handle watch(const Selector& s, const std::string& v, WatchHandler handler) override {
    return with(s.kind).watch(s, v, std::move(handler));
  }
  Handle get(Kind kind, const ObjectKey& key, WriteDone done) override {
    return with(kind).get(kind, key, std::move(done));
  }
  Handle create(Object object, WriteDone done) override {
    auto& store = with(object.kind);
    return store.create(std::move(object), std::move(done));
  }
  Handle update(Object object, WriteDone done) override {
    auto& store = with(object.kind);
    return store.update(std::move(object), std::move(done));
  }
  Handle update_status(Object object, WriteDone done) override {
    auto& store = with(object.kind);
    return store.update_status(std::move(object), std::move(done));
  }
  Handle remove(Kind kind, const ObjectKey& key, const std::string& version,
                RemoveDone done) override {
    return with(kind).remove(kind, key, version, std::move(done));
  }

 private:
  static constexpr std::uint32_t kEvents = IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO |
                                           IN_CREATE | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF |
                                           IN_ATTRIB | IN_ONLYDIR;

  // The store, after the files of that kind were read: a route agent reads no EndpointSlices.
  LocalStore& with(Kind kind) {
    if (asked_for_.insert(kind).second && readable_.active()) scan(kind);
    return store_;
  }

  // A fresh inotify instance over all folders, then a scan: what happens in between is seen twice.
  Result<> begin() {
    readable_.reset();
    folders_.clear();
    seen_.clear();
    inotify_.reset(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    if (!inotify_) return fail(errno_error(errno, "inotify"));
    readable_ = loop_.watch(inotify_.get(), FdEvent::kRead, [this] { drain(); });
    if (auto ok = watch_folder(files_.root(), Kind{}, true); !ok) return ok;
    for (const auto& kind : all_kinds()) {
      if (auto ok = watch_folder(files_.folder(kind.kind), kind.kind, false); !ok) return ok;
      if (asked_for_.count(kind.kind) != 0) scan(kind.kind);
    }
    return {};
  }

  Result<> watch_folder(const std::filesystem::path& folder, Kind kind, bool root) {
    const int wd = inotify_add_watch(inotify_.get(), folder.c_str(), kEvents);
    if (wd < 0) return fail(errno_error(errno, "store folder " + folder.string()));
    folders_[wd] = {kind, root};
    return {};
  }

  void drain() {
    alignas(inotify_event) char buffer[16384];
    std::set<Kind> touched;
    bool everything = false;
    bool gone = false;
    for (int rounds = 0; rounds < 64; ++rounds) {
      const auto n = ::read(inotify_.get(), buffer, sizeof buffer);
      if (n <= 0) break;
      for (ssize_t at = 0; at < n;) {
        const auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
        at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
        if ((event->mask & IN_Q_OVERFLOW) != 0) everything = true;
        const auto found = folders_.find(event->wd);
        if (found == folders_.end()) continue;
        if ((event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT)) != 0) {
          gone = gone || found->second.root;  // a namespace's folder may come and go
        }
        if (!found->second.root) {
          touched.insert(found->second.kind);
        } else if ((event->mask & IN_ISDIR) != 0) {
          everything = true;  // a kind's folder came or went
        }
      }
    }
    if (gone)
      return lose({Errc::kUnavailable, "store folder " + files_.root().string() + " is gone"});
    for (const auto& kind : all_kinds()) {
      if (asked_for_.count(kind.kind) == 0) continue;
      if (everything || touched.count(kind.kind) != 0) scan(kind.kind);
    }
  }

  struct Folder {
    Kind kind{};
    bool root = false;
  };
  // Reads the files that are other than when they were last read.
  void scan(Kind kind) {
    // Watched first, listed then: a file that appears in between is seen by one or both.
    if (info(kind).namespaced) watch_namespaces(kind);
    const auto keys = files_.list(kind);
    if (!keys) return lose({Errc::kUnavailable, keys.error().text});
    std::set<ObjectKey> present(keys->begin(), keys->end());
    auto& seen = seen_[kind];
    std::erase_if(seen, [&](const auto& file) { return present.count(file.first) == 0; });
    for (const auto& key : present) {
      const auto stamp = files_.stamp(kind, key);
      const auto known = seen.find(key);
      if (stamp && known != seen.end() && known->second == *stamp) continue;
      seen.erase(key);
      auto body = files_.read(kind, key);
      // One that was changed this very moment may change again without looking different.
      if (stamp && stamp->settled()) seen.emplace(key, *stamp);
      if (body) {
        broken_.erase({kind, key});
        store_.observe(kind, key, *body);
      } else if (body.error().code == Errc::kInvalid || body.error().code == Errc::kTooLarge) {
        auto& reported = broken_[{kind, key}];
        if (reported != body.error().text) {
          log_warn("broken file; the last good state is kept", {{"error", body.error().text}});
          reported = body.error().text;
        }
      } else {
        return lose({Errc::kUnavailable, body.error().text});
      }
    }
    for (const auto& key : store_.keys(kind)) {
      if (present.count(key) == 0) store_.observe(kind, key, std::nullopt);
    }
  }

  void watch_namespaces(Kind kind) {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(files_.folder(kind), error)) {
      std::error_code status;
      // Adding a folder that is watched already changes nothing.
      if (entry.is_directory(status)) (void)watch_folder(entry.path(), kind, false);
    }
  }

  void lose(const Error& why) {
    if (retry_.active()) return;
    log_warn("store is unavailable", {{"error", why.text}});
    store_.unavailable(why);
    readable_.reset();
    retry_ = loop_.every(std::chrono::milliseconds(500), [this] {
      std::error_code error;
      if (!std::filesystem::is_directory(files_.root(), error) || !files_.set_up()) return;
      auto retry = std::move(retry_);  // kept until this callback is over
      store_.available();
      if (auto ok = begin(); !ok) {
        retry_ = std::move(retry);
        store_.unavailable(ok.error());
      } else {
        log_info("store is available", {{"folder", files_.root().string()}});
      }
    });
  }

  Loop& loop_;
  Files files_;
  LocalStore store_;
  UniqueFd inotify_;
  std::map<int, Folder> folders_;
  std::set<Kind> asked_for_;
  std::map<Kind, std::map<ObjectKey, FileStamp>> seen_;  // the files as last read
  std::map<std::pair<Kind, ObjectKey>, std::string> broken_;
  Handle readable_;
  Handle retry_;
};

}  // namespace

Result<std::unique_ptr<Store>> open_dir_store(Loop& loop, Random& random, const std::string& root) {
  auto store = std::make_unique<DirStore>(loop, random, root);
  if (auto ok = store->start(); !ok) return fail(ok.error());
  return store;
}

}  // namespace cw::api
