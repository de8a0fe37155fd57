// Whether the store answers one informer, and when it is asked again after a failure. Pure: time
// and randomness are arguments.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/backoff.h"
#include "base/error.h"
#include "base/loop.h"
#include "base/random.h"

namespace cw::api {

class StoreContact {
 public:
  // `kind`: for the log.
  explicit StoreContact(std::string_view kind) : kind_(kind) {}

  [[nodiscard]] bool available() const { return available_; }
  [[nodiscard]] const std::string& last_error() const { return last_error_; }

  // The store sent data. Returns whether it was away.
  bool answered();
  // The store was asked for a watch, and accepted it at `now`. Returns whether it was away. The
  // backoff goes on until data came or the watch stood for kStood: a watch may open and break at
  // once.
  void asked() { opened_.reset(); }
  bool opened(TimePoint now);
  // The watch has ended.
  void ended(TimePoint now);
  // The store does not answer. Returns whether it did before, or this is the first error.
  bool failed(const Error& error);
  [[nodiscard]] Duration next_try(Random& random) { return backoff_.next(random); }

 private:
  static constexpr auto kStood = std::chrono::seconds(10);
  bool came_back();

  std::string_view kind_;
  bool available_ = false;
  std::string last_error_;
  // At most 10 s: a server that is back is asked soon. With jitter the watches of 1,000 nodes still
  // arrive spread out. They resume, so they list nothing.
  Backoff backoff_{std::chrono::milliseconds(200), std::chrono::seconds(10)};
  std::optional<TimePoint> opened_;  // when the server accepted the last watch
};

}  // namespace cw::api
