#include "prefixes/settings.h"

#include <gtest/gtest.h>

namespace cw::prefixes {
namespace {

api::ConfigMapObject object(std::map<std::string, std::string> data) {
  api::ConfigMapObject made;
  made.meta.key = {"causeway-system", std::string(kSettingsName)};
  made.data = std::move(data);
  return made;
}

api::Node node(const std::string& name, std::map<std::string, std::string> labels = {}) {
  api::Node made;
  made.meta.key.name = name;
  made.meta.labels = std::move(labels);
  return made;
}

TEST(Settings, WithoutEntriesEverythingIsFound) {
  for (const auto& data : {std::map<std::string, std::string>{}, {{"source", "auto"}}}) {
    const auto settings = parse_settings(object(data));
    ASSERT_TRUE(settings) << settings.error().text;
    EXPECT_EQ(*settings, Settings());
  }
}

TEST(Settings, EveryEntryIsRead) {
  const auto settings = parse_settings(object({{"source", "calico"},
                                               {"ranges", "10.240.0.0/13, fd00:10::/48"},
                                               {"nodes",
                                                "# two nodes of the old rack\n"
                                                "worker-1: 10.244.1.0/24 fd00:10:1::/64\n"
                                                "\n"
                                                "  example.com/rack=7: 10.244.7.0/24\n"}}));
  ASSERT_TRUE(settings) << settings.error().text;
  EXPECT_EQ(settings->source, Source::kCalico);
  EXPECT_EQ(settings->ranges.size(), 2U);
  ASSERT_NE(settings->of(node("worker-1")), nullptr);
  EXPECT_EQ(settings->of(node("worker-1"))->size(), 2U);
  EXPECT_NE(settings->of(node("worker-9", {{"example.com/rack", "7"}})), nullptr);
  EXPECT_EQ(settings->of(node("worker-9", {{"example.com/rack", "8"}})), nullptr);
}

TEST(Settings, ANodeNameWinsOverALabel) {
  const auto settings =
      parse_settings(object({{"nodes", "w: 10.1.0.0/24\nrack=7: 10.2.0.0/24\n"}}));
  ASSERT_TRUE(settings) << settings.error().text;
  EXPECT_EQ(settings->of(node("w", {{"rack", "7"}}))->front().to_string(), "10.1.0.0/24");
}

TEST(Settings, AMistakeIsOneLineThatNamesTheKey) {
  const auto wrong = [](const char* key, const char* text) {
    return parse_settings(object({{key, text}})).error().text;
  };
  EXPECT_EQ(wrong("source", "canal"),
            "ConfigMap causeway-prefixes: source: \"canal\": want auto, configured, calico, "
            "cilium, ovn, kube-router, azure, node, cluster");
  EXPECT_EQ(wrong("ranges", "10.0.0.1/8"),
            "ConfigMap causeway-prefixes: ranges: \"10.0.0.1/8\" has bits set beyond its length; "
            "the network is 10.0.0.0/8");
  EXPECT_EQ(wrong("nodes", "n1 10.0.0.0/24"),
            "ConfigMap causeway-prefixes: nodes: \"n1 10.0.0.0/24\": want NODE: PREFIXES");
  EXPECT_EQ(wrong("nodes", "n1: ten"),
            "ConfigMap causeway-prefixes: nodes: n1: \"ten\" is not a CIDR");
  EXPECT_EQ(wrong("nodes", "n1: 10.0.0.0/24\nn1: 10.0.1.0/24"),
            "ConfigMap causeway-prefixes: nodes: n1 is listed twice");
  EXPECT_EQ(wrong("cidrs", ""), "ConfigMap causeway-prefixes: cidrs: there is no such key");
  EXPECT_EQ(wrong("source", "configured"),
            "ConfigMap causeway-prefixes: source: \"configured\" needs `nodes`");
}

}  // namespace
}  // namespace cw::prefixes
