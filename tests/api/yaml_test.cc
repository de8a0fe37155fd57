// Files that the directory store writes must survive other YAML readers and editors.
#include "api/dir/yaml.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <nlohmann/json.hpp>

namespace cw::api {
namespace {

TEST(Yaml, QuotesWhatOlderReadersTakeForSomethingElse) {
  for (const auto* text : {"2026-01-02T03:04:05Z", "2026-01-02", "yes", "Off", "n", "1:30", "0x1f",
                           "1_000", "true", "12", ""}) {
    const auto yaml = to_yaml(nlohmann::json{{"key", text}});
    EXPECT_NE(yaml.find('"'), std::string::npos) << yaml;
    EXPECT_EQ((*parse_yaml(yaml, "file"))["key"], text);
  }
}

TEST(Yaml, LeavesOrdinaryTextPlain) {
  for (const auto* text : {"10.2.0.0/24", "east", "gateway-0", "yesterday", "192.0.2.1"}) {
    const auto yaml = to_yaml(nlohmann::json{{"key", text}});
    EXPECT_EQ(yaml.find('"'), std::string::npos) << yaml;
    EXPECT_EQ((*parse_yaml(yaml, "file"))["key"], text);
  }
}

TEST(Yaml, KeepsOrderAndNests) {
  nlohmann::ordered_json value;
  value["kind"] = "ClusterPeer";
  value["apiVersion"] = "causeway.dev/v1alpha1";
  value["list"] = {{{"b", 1}, {"a", {1, 2}}}, "text", nlohmann::ordered_json::array()};
  value["empty"] = nlohmann::ordered_json::object();
  value["none"] = nullptr;
  EXPECT_EQ(to_yaml(value),
            "kind: ClusterPeer\n"
            "apiVersion: causeway.dev/v1alpha1\n"
            "list:\n"
            "  - b: 1\n"
            "    a:\n"
            "      - 1\n"
            "      - 2\n"
            "  - text\n"
            "  - []\n"
            "empty: {}\n"
            "none: null\n");
}

TEST(Yaml, IsReadBackAsItWas) {
  const nlohmann::json value = {
      {"strings", {"",           " lead", "trail ", "yes",  "No",
                   "null",       "~",     "1",      "1.5",  "0x1f",
                   "a: b",       "a #b",  "-",      "- x",  "10.0.0.1:4500",
                   "[::1]:4500", "a\nb",  "\"q\"",  "'",    "plain text",
                   "2026-01-02", "{}",    "*a",     "&a",   "!t",
                   "%",          "@",     "`",      "on",   "y",
                   ":",          "a:",    "x\ty",   "\x7f", "u\xc3\xa9"}},
      {"weird key: #", {{"nested", {{{"deep", {{{"deeper", {1, {2, {3}}}}}}}}}}}},
      {"numbers", {0, -1, 1.25, 18446744073709551615U}},
      {"bools", {true, false}},
      {"lists", {{1, 2}, {{{"a", 1}, {"b", {1}}}}, nlohmann::json::array()}},
      {"12", "number-like key"},
      {"true", "word-like key"}};
  const auto back = parse_yaml(to_yaml(value), "test");
  ASSERT_TRUE(back) << back.error().text << "\n" << to_yaml(value);
  EXPECT_EQ(*back, value) << to_yaml(value);
}

TEST(Yaml, RefusesWhatIsNotUtf8AndSaysWhere) {
  EXPECT_EQ(parse_yaml("a: 1\nb: \xff\n", "f").error().text, "f:2: not UTF-8");
  EXPECT_EQ(parse_yaml("a: \xc3\n", "f").error().text, "f:1: not UTF-8");        // cut short
  EXPECT_EQ(parse_yaml("a: \xed\xa0\x80", "f").error().text, "f:1: not UTF-8");  // a surrogate
  EXPECT_EQ((*parse_yaml("a: \xc3\xa9\xf0\x9f\x98\x80\n", "f"))["a"], "\xc3\xa9\xf0\x9f\x98\x80");
  EXPECT_EQ((*parse_yaml("a: \xef\xbf\xbd", "f"))["a"],
            "\xef\xbf\xbd");  // U+FFFD itself is a character
}

// Without this limit 500 KB of brackets took 90 MiB before they were refused.
TEST(Yaml, DeepNestingIsRefusedBeforeItCostsMemory) {
  rusage before{};
  rusage after{};
  ASSERT_EQ(::getrusage(RUSAGE_SELF, &before), 0);
  for (const auto* piece : {"[", "{", "- [", "[\n", "{a: ["}) {
    std::string text;
    while (text.size() < 500'000) text += piece;
    const auto parsed = parse_yaml(text, "deep.yaml");
    ASSERT_FALSE(parsed);
    EXPECT_EQ(parsed.error().code, Errc::kInvalid);
  }
  ASSERT_EQ(::getrusage(RUSAGE_SELF, &after), 0);
  EXPECT_LT(after.ru_maxrss - before.ru_maxrss, 16 * 1024) << "KiB";
  EXPECT_TRUE(parse_yaml("a: \"" + std::string(400, '[') + "\"\n", "text.yaml"));
}

}  // namespace
}  // namespace cw::api
