// main() of every daemon: heap and descriptor limits, flags, configuration, logging, exit codes.
// Exit codes: 0, 1 (it cannot run on this machine), 2 (usage or configuration).
//   int main(int argc, char** argv) {
//     return cw::run_daemon(argc, argv, {"causeway-x", "What it does."},
//                           {{"run", "until stopped (the default)", cw::with_config(load, run)}});
//   }
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/log.h"

namespace CLI {
class App;
}

namespace cw {

struct DaemonText {
  std::string program;
  std::string about;
};

struct DaemonCommand {
  std::string name;
  std::string help;
  // Gets the path of the configuration file. kInvalid means exit code 2, other errors mean 1.
  std::function<Result<>(const std::string& path)> run;
  std::function<void(CLI::App&)> add_flags = {};
};

// The first of `commands` runs if the command line names none. Prints an error as one line.
[[nodiscard]] int run_daemon(int argc, char** argv, const DaemonText& text,
                             const std::vector<DaemonCommand>& commands);

// A command that loads its configuration first and sets up logging as that says. Config: derived
// from DaemonConfig.
template <typename Load, typename Action>
[[nodiscard]] std::function<Result<>(const std::string& path)> with_config(Load load,
                                                                           Action action) {
  return [load, action](const std::string& path) -> Result<> {
    const auto config = load(path);
    if (!config) return fail(Errc::kInvalid, config.error().text);
    set_up_logging(config->log_level, config->log_json);
    return action(*config);
  };
}

}  // namespace cw
