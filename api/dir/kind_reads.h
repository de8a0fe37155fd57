// Decides when the files of each kind are read: at the first call that needs the kind, and after
// changes. One reading per kind runs at a time. A change during a reading causes one more. Calls
// wait for the first reading of their kind. While the store is away nothing is read, and no call
// waits. Loop thread only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "api/types/meta.h"
#include "base/loop.h"

namespace cw::api {

class KindReads {
 public:
  // `start` begins a reading on another thread, whose result leads to ended(). False: it cannot
  // begin now, and is tried again later.
  KindReads(Loop& loop, std::function<bool(Kind)> start) : loop_(loop), start_(std::move(start)) {}
  KindReads(const KindReads&) = delete;
  KindReads& operator=(const KindReads&) = delete;

  // Runs `call` once the kind was read. Destroying the handle cancels that, or what `call` began.
  [[nodiscard]] Handle when_read(Kind kind, std::function<Handle()> call);
  // The files of the kind, or of all kinds, may have changed. Kinds without a call are not read.
  void read(Kind kind);
  void read_all();
  // Files of the kind may become readable without an event.
  void read_later(Kind kind);
  // A reading has ended. Returns whether one more is necessary.
  [[nodiscard]] bool ended(Kind kind);
  // The kind was read, and its objects are known.
  void complete(Kind kind);

  [[nodiscard]] bool away() const { return away_; }
  void leave();  // the store is away
  void come_back() { away_ = false; }

 private:
  enum class Reading { kNo, kRuns, kRunsAndAgain };
  struct Waiting {
    std::function<Handle()> call;
    Handle handle;
  };
  struct State {
    bool asked_for = false;  // not every daemon reads every kind
    bool read = false;       // since the store became available
    Reading reading = Reading::kNo;
    Handle again;  // the timer of read_later()
    std::vector<std::weak_ptr<Waiting>> waiting;
  };
  static void let_go(State& state);

  Loop& loop_;
  std::function<bool(Kind)> start_;
  bool away_ = false;
  std::map<Kind, State> kinds_;
};

}  // namespace cw::api
