// Keeps the input of a replica's table in a file. Another thread writes it kSoon after a change, at
// most every kEvery. Every kCurrent it is marked as current while the store answers. The file's
// modification time says until when it was current, by the Loop's clock. Loop thread only.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/worker.h"
#include "discovery/last_known.h"

namespace cw::discovery {

class TableKeeper {
 public:
  static constexpr Duration kSoon = std::chrono::seconds(2);
  static constexpr Duration kEvery = std::chrono::seconds(15);
  static constexpr Duration kCurrent = std::chrono::seconds(60);

  // `know` returns what to write. It is called on the loop thread and is cheap, because it shares
  // the objects.
  using Know = std::function<LastKnown()>;
  // True: the store answers, so everything known is current.
  using Current = std::function<bool()>;
  TableKeeper(Loop& loop, Background disk, std::string path, Know know, Current current);

  void note_change();
  [[nodiscard]] std::uint64_t errors() const { return errors_; }

 private:
  void write();
  void mark();
  void done(const Result<>& result);

  Loop& loop_;
  Background disk_;
  std::string path_;
  Know know_;
  Current current_;
  bool changed_ = false;
  bool writing_ = false;
  std::optional<TimePoint> written_;
  std::string trouble_;
  std::uint64_t errors_ = 0;
  Handle soon_;
  Handle marking_;
};

struct KeptTable {
  LastKnown known;
  WallTime current_until{};
};
// Blocks. kNotFound: there is no file. kExpired: it is older than `max_age`. Other errors say what
// is wrong.
[[nodiscard]] Result<KeptTable> read_kept_table(const std::string& path, WallTime now,
                                                Duration max_age);

}  // namespace cw::discovery
