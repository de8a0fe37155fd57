#include "base/config.h"

#include <gtest/gtest.h>

namespace cw {
namespace {

std::string problem_of(std::string_view text) {
  auto map = ConfigMap::parse(text, "x.yaml");
  if (!map) return map.error().text;
  std::string name;
  std::uint16_t port = 1;
  bool flag = false;
  std::vector<Prefix> cidrs;
  std::chrono::nanoseconds interval{};
  map->require("name", name);
  map->read("port", port);
  map->read("cidrs", cidrs);
  map->read_map("log", [&](ConfigMap& log) { log.read("json", flag); });
  map->read("interval", interval);
  const auto done = map->finish();
  return done ? "" : done.error().text;
}

TEST(Config, ReadsAllShapes) {
  auto map = ConfigMap::parse(
      "name: east\nport: 4500\ncidrs: [10.0.0.0/8, 'fd00::/64']\nlog: {json: true}\n"
      "every: 150ms\n",
      "x.yaml");
  ASSERT_TRUE(map);
  std::string name;
  std::uint16_t port = 0;
  std::vector<Prefix> cidrs;
  bool json = false;
  std::chrono::nanoseconds every{};
  map->require("name", name);
  map->read("port", port);
  map->read("cidrs", cidrs);
  map->read("every", every);
  map->read_map("log", [&](ConfigMap& log) { log.read("json", json); });
  ASSERT_TRUE(map->finish());
  EXPECT_EQ(name, "east");
  EXPECT_EQ(port, 4500);
  ASSERT_EQ(cidrs.size(), 2U);
  EXPECT_EQ(cidrs[1].to_string(), "fd00::/64");
  EXPECT_EQ(every, std::chrono::milliseconds(150));
  EXPECT_TRUE(json);
}

TEST(Config, ProblemsNameFileLineKeyAndWhatIsWanted) {
  EXPECT_EQ(problem_of("name: a\nport: 70000\n"),
            "x.yaml:2: port: \"70000\": want a number up to 65535");
  EXPECT_EQ(problem_of("port: 1\n"), "x.yaml:1: name: is missing");
  EXPECT_EQ(problem_of("name: a\nlog:\n  json: maybe\n"),
            "x.yaml:3: log.json: \"maybe\": want true or false");
  EXPECT_EQ(problem_of("name: a\nlog:\n  jason: true\n"), "x.yaml:3: log.jason: unknown key");
  EXPECT_EQ(problem_of("name: a\nnaem: b\n"), "x.yaml:2: naem: unknown key");
  EXPECT_EQ(problem_of("name: a\nport: 1\nname: b\n"),
            "x.yaml:3: name: duplicate key; the first one is in line 1");
  EXPECT_EQ(problem_of("name: a\nlog:\n  json: true\n  json: true\n"),
            "x.yaml:4: log.json: duplicate key; the first one is in line 3");
  EXPECT_EQ(problem_of("name: a\ninterval: 5\n"),
            "x.yaml:2: interval: \"5\": want a duration such as 150ms, 5s, 2m or 1h");
  EXPECT_EQ(problem_of("name: [a]\n"), "x.yaml:1: name: want one value");
  EXPECT_EQ(problem_of("- a\n"), "x.yaml:1: want a mapping of keys to values");
  EXPECT_NE(problem_of("name: {{\n").find("x.yaml:"), std::string::npos);
}

TEST(Config, LimitsChoicesAndPathsAreNamed) {
  const auto problem_with = [](const std::string& text, auto read) {
    auto map = *ConfigMap::parse(text, "x.yaml");
    read(map);
    const auto good = map.finish();
    return good ? "" : good.error().text;
  };
  std::uint32_t number = 5;
  const auto within = [&](ConfigMap& map) { map.read_within("n", number, 1U, 32U); };
  EXPECT_EQ(problem_with("n: 33", within), "x.yaml:1: n: want 1 to 32");
  EXPECT_EQ(problem_with("n: 0", within), "x.yaml:1: n: want 1 to 32");
  EXPECT_EQ(problem_with("n: 32", within), "");
  std::chrono::nanoseconds time = std::chrono::seconds(1);
  EXPECT_EQ(problem_with("t: 1ms",
                         [&](ConfigMap& map) {
                           map.read_within<std::chrono::nanoseconds>(
                               "t", time, std::chrono::milliseconds(1500), std::chrono::hours(24));
                         }),
            "x.yaml:1: t: want 1500ms to 24h");
  std::string word = "a";
  const auto choice = [&](ConfigMap& map) { map.read_choice("c", word, {"a", "b", "c"}); };
  EXPECT_EQ(problem_with("c: d", choice), "x.yaml:1: c: want a, b or c");
  EXPECT_EQ(problem_with("c: b", choice), "");
  std::string path;
  const auto absolute = [&](ConfigMap& map) { map.read_path("p", path); };
  EXPECT_EQ(problem_with("p: x", absolute), "x.yaml:1: p: want an absolute path");
  EXPECT_EQ(problem_with("p: ''", absolute), "x.yaml:1: p: want an absolute path");
  EXPECT_EQ(problem_with("{}", absolute), "");
  std::vector<std::string> list;
  EXPECT_EQ(problem_with("l: [a, b]", [&](ConfigMap& map) { map.read_up_to("l", list, 1); }),
            "x.yaml:1: l: want at most 1 entries");
}

TEST(Config, TheFirstProblemIsKept) {
  EXPECT_EQ(problem_of("port: x\nname: a\nzzz: 1\n"),
            "x.yaml:1: port: \"x\": want a number up to 65535");
}

TEST(Config, AFileThatIsNotThereIsNamed) {
  const auto map = ConfigMap::load("/nonexistent/causeway.yaml");
  ASSERT_FALSE(map);
  EXPECT_NE(map.error().text.find("/nonexistent/causeway.yaml: cannot be read"), std::string::npos);
}

TEST(Config, HugeTextIsRefused) {
  EXPECT_EQ(ConfigMap::parse(std::string((1U << 20U) + 1, ' '), "x").error().code, Errc::kTooLarge);
}

TEST(Duration, TakesWholeUnitsOnly) {
  EXPECT_EQ(*parse_duration("2m"), std::chrono::minutes(2));
  EXPECT_EQ(*parse_duration("1h"), std::chrono::hours(1));
  for (const auto* text : {"", "5", "s", "-1s", "1.5s", "1d", "99999999999s", "1s "}) {
    EXPECT_FALSE(parse_duration(text)) << text;
  }
}

}  // namespace
}  // namespace cw
