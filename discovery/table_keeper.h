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

  // Returns what to write. It is called on the loop thread and is cheap, because it shares the
  // objects.
  using Input = std::function<LastKnown()>;
  // True: the store answers, so everything known is current.
  using Current = std::function<bool()>;
  TableKeeper(Loop& loop, Background disk, std::string path, Input input, Current current);

  void record_change();
  [[nodiscard]] std::uint64_t errors() const { return errors_; }

 private:
  void write();
  void mark_as_current();
  void done(const Result<>& result);

  Loop& loop_;
  Background disk_;
  std::string path_;
  Input input_;
  Current current_;
  bool changed_ = false;
  bool writing_ = false;
  std::optional<TimePoint> written_;
  std::string trouble_;
  std::uint64_t errors_ = 0;
  Handle soon_;
  Handle marking_;
};

}  // namespace cw::discovery
