#include "daemon/shell.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "base/memory.h"
#include "base/process_metrics.h"

namespace cw {
namespace {

constexpr int kFailed = 1;
constexpr int kUsageError = 2;

}  // namespace

int run_daemon(int argc, char** argv, const DaemonText& text,
               const std::vector<DaemonCommand>& commands) {
  share_heap();
  raise_open_files();
  const auto tell = [&](std::string_view what, int code) {
    fmt::print(stderr, "{}: {}\n", text.program, what);
    return code;
  };
  CLI::App flags(text.about, text.program);
  std::string path;
  flags.add_option("--config", path, "configuration file (docs/configuration.md)");
  flags.set_version_flag("--version", text.program + " " + CW_VERSION);
  flags.fallthrough();
  flags.require_subcommand(0, 1);
  std::vector<CLI::App*> known;
  for (const auto& command : commands) {
    known.push_back(flags.add_subcommand(command.name, command.help));
    if (command.add_flags) command.add_flags(*known.back());
  }
  try {
    flags.parse(argc, argv);
  } catch (const CLI::Success& asked) {
    return flags.exit(asked);
  } catch (const CLI::ParseError& problem) {
    return tell(problem.what(), kUsageError);
  }
  if (path.empty()) return tell("--config FILE is missing", kUsageError);
  const auto* chosen = &commands.front();
  for (std::size_t i = 0; i < commands.size(); ++i) {
    if (known[i]->parsed()) chosen = &commands[i];
  }
  const auto done = chosen->run(path);
  if (done) return 0;
  return tell(done.error().text, done.error().code == Errc::kInvalid ? kUsageError : kFailed);
}

}  // namespace cw
