#include "discovery/table_keeper.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/log.h"
#include "base/state_file.h"

namespace cw::discovery {

namespace {

Result<> mark_current(const std::string& path, WallTime until) {
  const auto since = until.time_since_epoch();
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since);
  const timespec time{seconds.count(), (since - seconds).count()};
  const std::array<timespec, 2> both{time, time};
  if (::utimensat(AT_FDCWD, path.c_str(), both.data(), 0) != 0) {
    return fail(errno_error(errno, path));
  }
  return {};
}

}  // namespace

TableKeeper::TableKeeper(Loop& loop, Background disk, std::string path, Input input,
                         Current current)
    : loop_(loop),
      disk_(std::move(disk)),
      path_(std::move(path)),
      input_(std::move(input)),
      current_(std::move(current)),
      marking_(loop.every(kCurrent, [this] { mark_as_current(); })) {}

void TableKeeper::record_change() {
  changed_ = true;
  if (soon_.active() || writing_) return;
  Duration pause = kSoon;
  if (written_) pause = std::max(pause, *written_ + kEvery - loop_.now());
  soon_ = loop_.after(pause, [this] {
    soon_.reset();
    write();
  });
}

void TableKeeper::write() {
  // The file must keep its age while the store is away, so nothing is written.
  if (!current_()) return;
  changed_ = false;
  // Set before run(): a Background that runs jobs at once calls done() before run() returns.
  writing_ = true;
  const bool runs = disk_.run(
      [this, path = path_, at = loop_.wall_now(), known = std::make_shared<LastKnown>(input_())] {
        const auto text = last_known_text(*known);
        auto result = text.size() > kMostKnownBytes
                          ? Result<>(fail(Errc::kTooLarge, "the table is over 256 MiB"))
                          : write_state_file(path, text);
        if (result) result = mark_current(path, at);
        return [this, result = std::move(result)] { done(result); };
      });
  if (!runs) done(fail(Errc::kUnavailable, "earlier writes still wait for the disk"));
}

void TableKeeper::mark_as_current() {
  if (writing_ || !current_()) return;
  if (changed_ || !written_) return record_change();
  writing_ = true;
  const bool runs = disk_.run([this, path = path_, at = loop_.wall_now()] {
    return [this, result = mark_current(path, at)] { done(result); };
  });
  if (!runs) writing_ = false;
}

void TableKeeper::done(const Result<>& result) {
  writing_ = false;
  written_ = loop_.now();
  if (result) {
    trouble_.clear();
  } else {
    ++errors_;
    if (trouble_ != result.error().text) {
      trouble_ = result.error().text;
      log_warn("table on disk not written: a restart without the store serves an older one or none",
               {{"file", path_}, {"error", trouble_}});
    }
    changed_ = true;
  }
  if (changed_) record_change();
}

}  // namespace cw::discovery
