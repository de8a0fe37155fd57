// The ledger as this node has it, and its file. One write runs at a time. A write that failed is
// repeated. Loop thread only.
#pragma once

#include <functional>

#include "base/backoff.h"
#include "base/loop.h"
#include "base/random.h"
#include "routeagent/closed/ledger.h"

namespace cw::routeagent {

// The ledger's file: what it had at start, and how to replace it. `write` calls `done` on the loop
// thread when the text is on the disk.
struct LedgerFile {
  using Done = std::function<void(const Result<>&)>;
  Result<Ledger> before;
  std::function<void(std::string text, Done done)> write;
};

class LedgerBook {
 public:
  // `on_change`: in_file() or trouble() may have changed.
  LedgerBook(Loop& loop, Random& random, LedgerFile file, std::function<void()> on_change);

  [[nodiscard]] const Ledger& ledger() const { return ledger_; }
  // Also brings the file up to date.
  void set(Ledger ledger);
  // The clusters that the file may name.
  [[nodiscard]] const std::set<std::string>& in_file() const { return in_file_; }
  // Why the file cannot be used; empty: it can.
  [[nodiscard]] const std::string& trouble() const { return trouble_; }

 private:
  void save();
  void saved(const Result<>& done);

  Loop& loop_;
  Random& random_;
  std::function<void(std::string, LedgerFile::Done)> write_;
  std::function<void()> on_change_;
  Ledger ledger_;
  std::string on_disk_;
  std::string writing_;  // empty: no write is under way
  std::set<std::string> in_file_;
  std::string trouble_;
  Backoff retry_{std::chrono::seconds(1), std::chrono::seconds(30)};
  Handle retry_timer_;
};

}  // namespace cw::routeagent
