// Writes what this node reaches (base/reach.h): at once when it changes, and once a second. While
// the probes say nothing the file is left to grow old. Loop thread.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "base/reach.h"
#include "base/worker.h"

namespace cw::routeagent {

class ReachWriter {
 public:
  using Source = std::function<std::optional<std::map<std::string, bool>>()>;
  ReachWriter(Loop& loop, Background disk, std::string path, Source source);
  // Something may have changed.
  void update();

 private:
  void write(std::map<std::string, bool> clusters);
  Loop& loop_;
  Background disk_;
  std::string path_;
  Source source_;
  std::optional<std::map<std::string, bool>> written_;
  std::string trouble_;
  Handle beat_;
};

}  // namespace cw::routeagent
