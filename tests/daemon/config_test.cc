#include "daemon/config.h"

#include <gtest/gtest.h>

namespace cw {
namespace {

Result<DaemonConfig> parse(std::string_view text) {
  Result<DaemonConfig> (*read)(ConfigMap) = [](ConfigMap map) -> Result<DaemonConfig> {
    DaemonConfig config;
    read_daemon_config(map, config);
    if (auto good = map.finish(); !good) return fail(std::move(good.error()));
    return config;
  };
  return read_config(ConfigMap::parse(text, "d.yaml"), read);
}

TEST(DaemonConfig, OnlyTheStoreIsNeeded) {
  const auto config = parse("store: dir:/s\n");
  ASSERT_TRUE(config) << config.error().text;
  EXPECT_EQ(config->store, "dir:/s");
  EXPECT_EQ(config->ns, "causeway-system");
  EXPECT_EQ(config->log_level, LogLevel::kInfo);
  EXPECT_FALSE(config->log_json);
  EXPECT_FALSE(config->status);
}

TEST(DaemonConfig, EveryKeyIsRead) {
  const auto config =
      parse("store: dir:/s\nnamespace: n\nlog: {level: debug, json: true}\nstatus: '[::1]:9090'\n");
  ASSERT_TRUE(config) << config.error().text;
  EXPECT_EQ(config->ns, "n");
  EXPECT_EQ(config->log_level, LogLevel::kDebug);
  EXPECT_TRUE(config->log_json);
  ASSERT_TRUE(config->status);
  EXPECT_EQ(config->status->to_string(), "[::1]:9090");
}

TEST(DaemonConfig, AProblemNamesFileLineAndKey) {
  EXPECT_EQ(parse("namespace: n\n").error().text, "d.yaml:1: store: is missing");
  EXPECT_EQ(
      parse("store: dir:/s\nlog:\n  level: loud\n").error().text.find("d.yaml:3: log.level: "), 0U);
  EXPECT_EQ(parse("namespace: n\nstore: etcd:/s\n").error().text,
            "d.yaml:2: store: \"etcd:/s\": want dir:/path or kube:[FILE][#CONTEXT]");
  EXPECT_EQ(parse("- a\n").error().code, Errc::kInvalid);
}

}  // namespace
}  // namespace cw
