// The recent events of one kind in one store, for watches. Each watcher gets all events after its
// start version, in order, on the loop. A version that is no longer in the bounded log is expired.
// Versions are "<epoch>-<sequence>". The epoch of another process is expired, too.
#pragma once

#include <deque>
#include <map>
#include <memory>

#include "api/store/object.h"

namespace cw::api {

class WatchLog {
 public:
  static constexpr std::size_t kKeep = 4096;  // events

  WatchLog(Loop& loop, std::string epoch) : loop_(loop), epoch_(std::move(epoch)) {}
  WatchLog(const WatchLog&) = delete;
  WatchLog& operator=(const WatchLog&) = delete;

  [[nodiscard]] std::string version() const { return version_of(last_); }
  void append(EventType type, Object object);
  [[nodiscard]] Handle watch(const Selector& selector, const std::string& version,
                             WatchHandler handler);
  // Ends each watch with `error`. kExpired also clears the log.
  void end_all(const Error& error);

 private:
  struct Entry {
    std::uint64_t sequence = 0;
    std::shared_ptr<const WatchEvent> event;
  };
  struct Watcher {
    Selector selector;
    WatchHandler handler;
    std::uint64_t next = 0;  // the first sequence not yet delivered
    bool opened = false;
    bool ended = false;
  };

  [[nodiscard]] std::string version_of(std::uint64_t sequence) const {
    return epoch_ + "-" + std::to_string(sequence);
  }
  void schedule();
  void deliver();

  Loop& loop_;
  std::string epoch_;
  std::uint64_t last_ = 0;
  std::deque<Entry> log_;
  std::uint64_t last_id_ = 0;
  std::map<std::uint64_t, std::shared_ptr<Watcher>> watchers_;
  std::vector<Handle> pending_;
  Handle timer_;
};

}  // namespace cw::api
