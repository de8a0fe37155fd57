// The newest refusal report for each remote cluster, encoded, and what each stream still has to
// send of it. A stream of a cluster gets the report for that cluster only. Not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "gateway/feed/refusal_report.h"

namespace cw::gateway {

class RefusalBoard {
 public:
  // By cluster id. A cluster without a report: it is not known yet whether something is refused.
  // False: the same as before.
  bool set(const std::map<std::string, RefusalReport>& reports);

  // The next message (an encoded Event) for a stream to `cluster` that has sent the version `sent`,
  // which becomes the newest. Zero: nothing was sent. None: the stream is up to date.
  [[nodiscard]] std::optional<std::string> next(const std::string& cluster,
                                                std::uint64_t& sent) const;

 private:
  struct Entry {
    RefusalReport report;
    std::string message;
    std::uint64_t version = 0;
  };
  std::map<std::string, Entry> entries_;
  std::uint64_t version_ = 0;
};

}  // namespace cw::gateway
