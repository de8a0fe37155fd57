#include "daemon/shell.h"

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>

#include "daemon/config.h"

namespace cw {
namespace {

// Runs a daemon with the commands run and cleanup, of which the latter has the flag --open.
struct Shell {
  Result<> result;
  std::string ran;  // the command, and the path that it got
  bool open = false;
  std::string said;  // on stderr

  int operator()(std::vector<std::string> words) {
    words.insert(words.begin(), "causeway-x");
    std::vector<char*> argv;
    for (auto& word : words) argv.push_back(word.data());
    const auto command = [this](const std::string& name) {
      return [this, name](const std::string& path) {
        ran = name + " " + path;
        return result;
      };
    };
    testing::internal::CaptureStderr();
    testing::internal::CaptureStdout();
    const int code =
        run_daemon(static_cast<int>(argv.size()), argv.data(), {"causeway-x", "About."},
                   {{"run", "the default", command("run")},
                    {"cleanup", "cleans", command("cleanup"),
                     [this](CLI::App& flags) { flags.add_flag("--open", open, "opens"); }}});
    (void)testing::internal::GetCapturedStdout();
    said = testing::internal::GetCapturedStderr();
    return code;
  }
};

TEST(DaemonShell, TheFirstCommandIsTheDefault) {
  Shell shell;
  EXPECT_EQ(shell({"--config", "/c"}), 0);
  EXPECT_EQ(shell.ran, "run /c");
  EXPECT_EQ(shell({"cleanup", "--open", "--config", "/c"}), 0);
  EXPECT_EQ(shell.ran, "cleanup /c");
  EXPECT_TRUE(shell.open);
  EXPECT_EQ(shell.said, "");
}

TEST(DaemonShell, UsageAndConfigurationExitWith2AndOtherErrorsWith1) {
  Shell shell;
  EXPECT_EQ(shell({}), 2);
  EXPECT_EQ(shell.said, "causeway-x: --config FILE is missing\n");
  EXPECT_EQ(shell({"--colour", "--config", "/c"}), 2);
  EXPECT_EQ(shell({"paint", "--config", "/c"}), 2);
  EXPECT_EQ(shell.ran, "");
  shell.result = fail(Errc::kInvalid, "c:1: key: want a number");
  EXPECT_EQ(shell({"--config", "/c"}), 2);
  EXPECT_EQ(shell.said, "causeway-x: c:1: key: want a number\n");
  shell.result = fail(Errc::kUnavailable, "netlink: gone");
  EXPECT_EQ(shell({"--config", "/c"}), 1);
  EXPECT_EQ(shell.said, "causeway-x: netlink: gone\n");
}

TEST(DaemonShell, HelpAndVersionRunNothing) {
  Shell shell;
  EXPECT_EQ(shell({"--help"}), 0);
  EXPECT_EQ(shell({"--version"}), 0);
  EXPECT_EQ(shell.ran, "");
}

TEST(DaemonShell, EveryErrorOfAConfigurationIsTheAdministrators) {
  const auto load = [](const std::string& path) -> Result<DaemonConfig> {
    return fail(Errc::kNotFound, path + ": cannot be read");
  };
  bool ran = false;
  const auto command = with_config(load, [&ran](const DaemonConfig&) -> Result<> {
    ran = true;
    return {};
  });
  const auto done = command("/nowhere");
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Errc::kInvalid);
  EXPECT_FALSE(ran);
}

}  // namespace
}  // namespace cw
