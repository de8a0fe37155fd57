#include "routeagent/reach_writer.h"

#include <utility>

#include "base/log.h"

namespace cw::routeagent {

ReachWriter::ReachWriter(Loop& loop, Background disk, std::string path, Source source)
    : loop_(loop),
      disk_(std::move(disk)),
      path_(std::move(path)),
      source_(std::move(source)),
      beat_(loop.every(kReachEvery, [this] {
        if (auto clusters = source_()) write(std::move(*clusters));
      })) {}

void ReachWriter::update() {
  auto clusters = source_();
  if (clusters && clusters != written_) write(std::move(*clusters));
}

void ReachWriter::write(std::map<std::string, bool> clusters) {
  // A queue that is full holds writes of a moment ago: the next second tries again.
  const bool runs =
      disk_.run([this, path = path_, reach = Reach{loop_.now(), clusters}]() -> Worker::Finish {
        auto done = write_reach(path, reach);
        return [this, error = done ? std::string() : done.error().text] {
          if (std::exchange(trouble_, error) != error && !error.empty()) {
            log_warn("cannot say on this host which clusters it reaches", {{"error", error}});
          }
        };
      });
  if (runs) written_ = std::move(clusters);
}

}  // namespace cw::routeagent
