// The ledger's file on this host: `closed.json` in the agent's `stateDir`. Written durably (a
// temporary file, fsync, rename), on a thread of its own: a disk that stalls stops no probe.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/error.h"
#include "base/mailbox.h"
#include "routeagent/closed/ledger.h"

namespace cw::routeagent {

[[nodiscard]] std::string ledger_path(const std::string& state_dir);
// Empty if there is no file yet.
[[nodiscard]] Result<Ledger> read_ledger(const std::string& state_dir);
// Blocks until the disk has it. Makes the folder (0700) if it is missing.
[[nodiscard]] Result<> write_ledger(const std::string& state_dir, const std::string& text);
// Success if there is none.
[[nodiscard]] Result<> remove_ledger(const std::string& state_dir);

// Loop thread only. The destructor waits for the write that has begun.
class LedgerWriter {
 public:
  using Done = std::function<void(Result<>)>;

  // `done` is called on the loop thread after each write.
  LedgerWriter(Loop& loop, std::string state_dir, Done done);
  LedgerWriter(const LedgerWriter&) = delete;
  LedgerWriter& operator=(const LedgerWriter&) = delete;
  ~LedgerWriter();

  // A text that waits is replaced by a newer one.
  void write(std::string text);

 private:
  void work();

  const std::string state_dir_;
  Mailbox<Result<>> done_;
  const Mailbox<Result<>>::Sender sender_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::optional<std::string> waiting_;  // under mutex_
  bool over_ = false;                   // under mutex_
  std::thread thread_;
};

}  // namespace cw::routeagent
