// The result of a pass over the kernel.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace cw::netlink {

struct PassReport {
  std::size_t steps = 0;            // changes made or tried
  std::vector<std::string> errors;  // of the steps and dumps that failed, in order
  // What another program had removed or changed, and is there again: how many objects of each kind.
  std::map<std::string, std::size_t> restored;
  bool more = false;         // routes are left for the next pass
  bool ended_early = false;  // no nft table guards the device, or the loop is stopping
  friend bool operator==(const PassReport&, const PassReport&) = default;

  // Counts a change and keeps its error. True: the change was made.
  bool step(Result<> done, std::string_view what) {
    ++steps;
    if (!done) errors.push_back(std::move(done.error()).context(what).text);
    return done.has_value();
  }
  void add(const PassReport& other) {
    steps += other.steps;
    errors.insert(errors.end(), other.errors.begin(), other.errors.end());
    for (const auto& [kind, count] : other.restored) restored[kind] += count;
    more = more || other.more;
    ended_early = ended_early || other.ended_early;
  }
  // step(), and counts the object as restored if an earlier pass had left it like this.
  bool step(Result<> done, std::string_view what, bool was_there, const std::string& kind) {
    const bool made = step(std::move(done), what);
    if (made && was_there) ++restored[kind];
    return made;
  }
  // Keeps the error of a dump. True: there is a dump to work with.
  template <typename T>
  bool read(const Result<T>& dump, std::string_view what) {
    if (!dump) errors.push_back(dump.error().context(what).text);
    return dump.has_value();
  }
};

}  // namespace cw::netlink
