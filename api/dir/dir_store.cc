#include "api/dir/dir_store.h"

#include <optional>
#include <utility>

#include "api/dir/folder_reader.h"
#include "api/dir/folder_watch.h"
#include "api/dir/kind_reads.h"
#include "base/log.h"
#include "base/worker.h"

namespace cw::api {

namespace {

constexpr std::size_t kMostWaiting = 4096;  // queued reads and writes
// While the store folder is missing.
constexpr Duration kRetry = std::chrono::milliseconds(500);
// Between tries to lock the store while it is blocked and this process has nothing to write.
constexpr Duration kRecheck = std::chrono::seconds(1);

// Why this process cannot lock the folder. A process that has nothing to write would otherwise
// report a lock for ever, so it tries again.
class WriteBlock {
 public:
  WriteBlock(Loop& loop, std::function<void()> try_lock)
      : loop_(loop), try_lock_(std::move(try_lock)) {}

  [[nodiscard]] const std::string& why() const { return why_; }
  // Empty: the folder can be locked.
  void record(const std::string& why) {
    if (why.empty() != why_.empty()) {
      if (why.empty()) {
        log_info("store can be written again");
      } else {
        log_warn("store cannot be written", {{"error", why}});
      }
    }
    why_ = why;
    try_later();
  }
  void try_later() {
    recheck_.reset();
    if (!why_.empty()) recheck_ = loop_.after(kRecheck, try_lock_);
  }

 private:
  Loop& loop_;
  std::function<void()> try_lock_;
  std::string why_;
  Handle recheck_;
};

// One process's view of the folder. Everything that touches the disk runs on the worker, in the
// order of the calls. The table of objects and the watched folders belong to the loop.
class DirStore final : public Store {
 public:
  DirStore(Loop& loop, Random& random, const std::string& root)
      : loop_(loop),
        files_(root),
        reader_(files_),
        store_(loop, random, files_, [this](Work work) { return run(std::move(work)); }),
        reads_(loop, [this](Kind kind) { return scan(kind); }),
        block_(loop, [this] { try_lock(); }),
        watch_(loop, [this](const FolderWatch::Changes& changes) { on_change(changes); }) {}

  Result<> start() {
    auto begun = reader_.begin();  // on this thread, because the worker does not run yet
    if (!begun) return fail(begun.error());
    worker_.emplace(loop_, kMostWaiting);
    begin_watching(std::move(*begun));
    return {};
  }

  StoreTrouble trouble() const override {
    StoreTrouble trouble{block_.why(), 0};
    for (const auto& [kind, bad] : bad_) trouble.unreadable += bad.size();
    return trouble;
  }
  Handle list(const Selector& s, ListDone done) override {
    return reads_.when_read(s.kind, [this, s, done] { return store_.list(s, done); });
  }
  Handle watch(const Selector& s, const std::string& v, WatchHandler handler) override {
    return reads_.when_read(s.kind, [this, s, v, handler] { return store_.watch(s, v, handler); });
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
  bool run(Work work) {
    return worker_->run([this, work = std::move(work)] {
      auto finish = work();
      return [this, finish = std::move(finish), blocked = files_.blocked()] {
        block_.record(blocked);
        finish();
      };
    });
  }

  void try_lock() {
    const bool taken = worker_->run([this] {
      (void)files_.lock();  // blocked() has the result
      return [this, blocked = files_.blocked()] { block_.record(blocked); };
    });
    if (!taken) block_.try_later();
  }

  // Reads the kind's files on the worker. False: its queue is full.
  bool scan(Kind kind) {
    return worker_->run([this, kind] {
      auto found = std::make_shared<Result<FolderReader::Scan>>(reader_.scan(kind));
      return [this, kind, found] { publish(kind, std::move(*found)); };
    });
  }

  void publish(Kind kind, Result<FolderReader::Scan> found) {
    const bool again = reads_.ended(kind);
    if (reads_.away()) return;
    if (!found) return lose(found.error());
    watch_.add(found->folders);
    for (auto& object : found->changed) store_.observe(std::move(object));
    for (const auto& key : store_.keys(kind)) {
      if (found->present.count(key) == 0 && found->unreadable.count(key.ns) == 0) {
        store_.observe(kind, key, std::nullopt);
      }
    }
    report(kind, std::move(found->bad));
    if (found->again) reads_.read_later(kind);
    if (again) reads_.read(kind);
    reads_.complete(kind);
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

  void begin_watching(FolderReader::Begun begun) {
    watch_.start(std::move(begun));
    // Changes from before the watches existed are found by reading.
    reads_.read_all();
  }

  void on_change(const FolderWatch::Changes& changes) {
    if (changes.gone) {
      return lose({Errc::kUnavailable, "store folder " + files_.root().string() + " is gone"});
    }
    if (changes.everything) return reads_.read_all();
    for (const auto kind : changes.kinds) reads_.read(kind);
  }

  void lose(const Error& why) {
    if (reads_.away()) return;
    log_warn("store is unavailable", {{"error", why.text}});
    store_.unavailable(why);
    watch_.stop();
    reads_.leave();
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
        if (!begun || !reads_.away()) return;
        retry_.reset();
        reads_.come_back();
        store_.available();
        log_info("store is available", {{"folder", files_.root().string()}});
        begin_watching(*begun);
      };
    });
    if (!taken) trying_ = false;
  }

  Loop& loop_;
  Files files_;          // used on the worker once it runs
  FolderReader reader_;  // used on the worker
  LocalStore store_;
  KindReads reads_;
  std::map<Kind, std::map<std::string, std::string>> bad_;  // broken files, as last reported
  WriteBlock block_;
  FolderWatch watch_;
  bool trying_ = false;
  Handle retry_;
  std::optional<Worker> worker_;  // last: destroyed first, because it uses the other members
};

}  // namespace

Result<std::unique_ptr<Store>> open_dir_store(Loop& loop, Random& random, const std::string& root) {
  auto store = std::make_unique<DirStore>(loop, random, root);
  if (auto ok = store->start(); !ok) return fail(ok.error());
  return store;
}

}  // namespace cw::api
