#include "api/dir/dir_store.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <set>

#include "api/dir/folder_reader.h"
#include "base/log.h"
#include "base/worker.h"

namespace cw::api {

namespace {

constexpr std::size_t kMostWaiting = 4096;  // queued reads and writes
// While the store folder is missing.
constexpr Duration kRetry = std::chrono::milliseconds(500);
// Between tries to lock the store while it is blocked and this process has nothing to write.
constexpr Duration kRecheck = std::chrono::seconds(1);
// For entries that were unreadable without being broken, e.g. EACCES; nothing may tell of a change.
constexpr Duration kReadAgain = std::chrono::seconds(5);

// One process's view of the folder. An event only says "read that folder again", so lost or merged
// events do no harm. Everything that touches the disk runs on the worker, in the order of the
// calls. The table of objects and the watched folders belong to the loop.
class DirStore final : public Store {
 public:
  DirStore(Loop& loop, Random& random, const std::string& root)
      : loop_(loop),
        files_(root),
        reader_(files_),
        store_(loop, random, files_, [this](Work work) { return run(std::move(work)); }) {}

  Result<> start() {
    auto begun = reader_.begin();  // on this thread, because the worker does not run yet
    if (!begun) return fail(begun.error());
    worker_.emplace(loop_, kMostWaiting);
    take(std::move(*begun));
    return {};
  }

  StoreTrouble trouble() const override {
    StoreTrouble trouble{blocked_, 0};
    for (const auto& [kind, bad] : bad_) trouble.unreadable += bad.size();
    return trouble;
  }
  Handle list(const Selector& s, ListDone done) override {
    return when_read(s.kind, [this, s, done] { return store_.list(s, done); });
  }
  Handle watch(const Selector& s, const std::string& v, WatchHandler handler) override {
    return when_read(s.kind, [this, s, v, handler] { return store_.watch(s, v, handler); });
  }
  Handle get(Kind kind, const ObjectKey& key, WriteDone done) override {
    return store_.get(kind, key, std::move(done));
  }
  Handle create(Object object, WriteDone done) override {
    return store_.create(std::move(object), std::move(done));
  }
  Handle update(Object object, WriteDone done) override {
    return store_.update(std::move(object), std::move(done));
  }
  Handle update_status(Object object, WriteDone done) override {
    return store_.update_status(std::move(object), std::move(done));
  }
  Handle remove(Kind kind, const ObjectKey& key, const std::string& version,
                RemoveDone done) override {
    return store_.remove(kind, key, version, std::move(done));
  }

 private:
  // A list or watch call that waits until its kind was read the first time.
  struct Waiting {
    std::function<Handle()> call;
    Handle handle;
  };
  enum class Reading { kNo, kRuns, kRunsAndAgain };
  struct KindState {
    bool asked_for = false;  // not every daemon reads every kind
    bool read = false;       // since the folder became available
    Reading reading = Reading::kNo;
    Handle again;  // the timer of read_again()
    std::vector<std::weak_ptr<Waiting>> waiting;
  };

  bool run(Work work) {
    return worker_->run([this, work = std::move(work)] {
      auto finish = work();
      return [this, finish = std::move(finish), blocked = files_.blocked()] {
        note_blocked(blocked);
        finish();
      };
    });
  }

  void note_blocked(const std::string& blocked) {
    if (blocked.empty() != blocked_.empty()) {
      if (blocked.empty()) {
        log_info("store can be written again");
      } else {
        log_warn("store cannot be written", {{"error", blocked}});
      }
    }
    blocked_ = blocked;
    // A process that has nothing to write would otherwise report the lock for ever.
    recheck_.reset();
    if (!blocked.empty()) recheck_ = loop_.after(kRecheck, [this] { try_lock(); });
  }

  void try_lock() {
    const bool taken = worker_->run([this] {
      (void)files_.lock();  // blocked() has the result
      return [this, blocked = files_.blocked()] { note_blocked(blocked); };
    });
    if (!taken) recheck_ = loop_.after(kRecheck, [this] { try_lock(); });
  }

  Handle when_read(Kind kind, std::function<Handle()> call) {
    auto& state = kinds_[kind];
    const bool first = !std::exchange(state.asked_for, true);
    if (state.read || away_) return call();
    const auto waiting = std::make_shared<Waiting>(Waiting{std::move(call), {}});
    state.waiting.push_back(waiting);
    if (first) scan(kind);
    return Handle([waiting] { waiting->handle.reset(); });
  }

  void let_go(KindState& state) {
    for (const auto& one : std::exchange(state.waiting, {})) {
      if (const auto waiting = one.lock()) waiting->handle = waiting->call();
    }
  }

  // Reads the kind's files on the worker. A request during the reading causes one more reading.
  void scan(Kind kind) {
    auto& state = kinds_[kind];
    if (away_) return;
    if (state.reading != Reading::kNo) {
      state.reading = Reading::kRunsAndAgain;
      return;
    }
    const bool taken = worker_->run([this, kind] {
      auto found = std::make_shared<Result<FolderReader::Scan>>(reader_.scan(kind));
      return [this, kind, found] { take(kind, std::move(*found)); };
    });
    if (taken) {
      state.reading = Reading::kRuns;
    } else {
      read_again(kind);  // the worker's queue is full
    }
  }

  void read_again(Kind kind) {
    kinds_[kind].again = loop_.after(kReadAgain, [this, kind] {
      kinds_[kind].again.reset();
      scan(kind);
    });
  }

  void scan_all() {
    for (const auto& kind : all_kinds()) {
      if (kinds_[kind.kind].asked_for) scan(kind.kind);
    }
  }

  void take(Kind kind, Result<FolderReader::Scan> found) {
    auto& state = kinds_[kind];
    const bool again = std::exchange(state.reading, Reading::kNo) == Reading::kRunsAndAgain;
    if (away_) return;
    if (!found) return lose(found.error());
    folders_.insert(found->folders.begin(), found->folders.end());
    for (auto& object : found->changed) store_.observe(std::move(object));
    for (const auto& key : store_.keys(kind)) {
      if (found->present.count(key) == 0 && found->unreadable.count(key.ns) == 0) {
        store_.observe(kind, key, std::nullopt);
      }
    }
    report(kind, std::move(found->bad));
    if (found->again) read_again(kind);
    state.read = true;
    if (again) scan(kind);
    let_go(state);
  }

  // Logs each entry once, and again when the reason changes.
  void report(Kind kind, std::map<std::string, std::string> bad) {
    auto& before = bad_[kind];
    for (const auto& [entry, why] : bad) {
      const auto known = before.find(entry);
      if (known != before.end() && known->second == why) continue;
      log_warn("broken file; the last good state is kept", {{"error", why}});
    }
    before = std::move(bad);
  }

  void take(FolderReader::Begun begun) {
    inotify_ = std::move(begun.inotify);
    folders_ = std::move(begun.folders);
    readable_ = loop_.watch(inotify_->get(), FdEvent::kRead, [this] { drain(); });
    // Changes from before the watches existed are found by reading.
    scan_all();
  }

  void drain() {
    alignas(inotify_event) char buffer[16384];
    std::set<Kind> touched;
    bool everything = false;
    bool gone = false;
    for (int rounds = 0; rounds < 64; ++rounds) {
      const auto n = ::read(inotify_->get(), buffer, sizeof buffer);
      if (n <= 0) break;
      for (ssize_t at = 0; at < n;) {
        const auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
        at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
        const auto found = folders_.find(event->wd);
        if ((event->mask & IN_Q_OVERFLOW) != 0 || found == folders_.end()) {
          everything = true;  // events were lost, or the worker has watched this folder and the
                              // loop does not know it yet
          continue;
        }
        if ((event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT)) != 0) {
          gone = gone || found->second.root;  // a namespace's folder may be deleted and created
        }
        if (!found->second.root) {
          touched.insert(found->second.kind);
        } else if ((event->mask & IN_ISDIR) != 0) {
          everything = true;  // a kind's folder was created or deleted
        }
      }
    }
    if (gone) {
      return lose({Errc::kUnavailable, "store folder " + files_.root().string() + " is gone"});
    }
    if (everything) return scan_all();
    for (const auto kind : touched) {
      if (kinds_[kind].asked_for) scan(kind);
    }
  }

  void lose(const Error& why) {
    if (away_) return;
    away_ = true;
    log_warn("store is unavailable", {{"error", why.text}});
    store_.unavailable(why);
    readable_.reset();
    for (auto& [kind, state] : kinds_) {
      state.read = false;
      let_go(state);
    }
    retry_ = loop_.every(kRetry, [this] { try_again(); });
  }

  void try_again() {
    if (std::exchange(trying_, true)) return;
    const bool taken = worker_->run([this] {
      std::error_code error;
      // Without this test, begin() would create the missing folder, empty.
      auto begun = std::filesystem::is_directory(files_.root(), error)
                       ? reader_.begin()
                       : Result<FolderReader::Begun>(fail(Errc::kUnavailable, "is gone"));
      return [this, begun = std::move(begun)] {
        trying_ = false;
        if (!begun || !away_) return;
        retry_.reset();
        away_ = false;
        store_.available();
        log_info("store is available", {{"folder", files_.root().string()}});
        take(*begun);
      };
    });
    if (!taken) trying_ = false;
  }

  Loop& loop_;
  Files files_;          // used on the worker once it runs
  FolderReader reader_;  // used on the worker
  LocalStore store_;
  std::map<Kind, KindState> kinds_;
  std::map<Kind, std::map<std::string, std::string>> bad_;
  std::string blocked_;
  bool away_ = false;
  bool trying_ = false;
  std::shared_ptr<UniqueFd> inotify_;
  WatchedFolders folders_;
  Handle readable_;
  Handle retry_;
  Handle recheck_;
  std::optional<Worker> worker_;  // last: destroyed first, because it uses the other members
};

}  // namespace

Result<std::unique_ptr<Store>> open_dir_store(Loop& loop, Random& random, const std::string& root) {
  auto store = std::make_unique<DirStore>(loop, random, root);
  if (auto ok = store->start(); !ok) return fail(ok.error());
  return store;
}

}  // namespace cw::api
