// Every numbered requirement is named by a test. One table, with one row per family of numbers.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

const fs::path kRoot = CW_SOURCE_DIR;

struct Family {
  const char* name;
  std::vector<const char*> folders;  // folders of its tests
  // The text before the numbers in a test's name: "D4_...", "Answers3And4_...", "item_7_and_8_...".
  const char* before;
  int last;  // numbers are 1 to last
};

const std::vector<Family> kFamilies = {
    {"WireGuard checklist", {"tests/tunnel", "e2e/suites"}, "[Ii]tems?_?", 63},
    {"MCS API (docs/protocol/dns.md)",
     {"tests/discovery", "tests/api", "e2e/kube/suites"},
     "[Ii]tems?_?",
     22},
    {"multicluster DNS specification (docs/protocol/dns.md)", {"tests/discovery"}, "D", 9},
    {"answers of a small server (docs/protocol/dns.md)", {"tests/discovery"}, "Answers?", 13},
};

// The lines below `folder` that begin a test: TEST(, TEST_F(, TEST_P(, def test_.
std::string tests_below(const fs::path& folder) {
  const std::regex start("(TEST(_[FP])?\\([^,)]*,|def )\\s*([A-Za-z0-9_]+)");
  std::string names;
  for (const auto& entry : fs::recursive_directory_iterator(kRoot / folder)) {
    const auto file = entry.path().filename().string();
    if (!file.ends_with("_test.cc") && !(file.starts_with("test_") && file.ends_with(".py"))) {
      continue;
    }
    std::ifstream in(entry.path());
    const std::string text(std::istreambuf_iterator<char>(in), {});
    for (std::sregex_iterator at(text.begin(), text.end(), start), end; at != end; ++at) {
      names += (*at)[3].str() + "\n";
    }
  }
  return names;
}

std::set<int> named_in(const std::string& names, const std::string& before) {
  const std::regex name("(?:^|\n|_)" + before + "((?:[0-9]+(?:And|_and_)?)+)_");
  const std::regex number("[0-9]+");
  std::set<int> named;
  for (std::sregex_iterator at(names.begin(), names.end(), name), end; at != end; ++at) {
    const auto list = (*at)[1].str();
    for (std::sregex_iterator n(list.begin(), list.end(), number); n != end; ++n) {
      named.insert(std::stoi(n->str()));
    }
  }
  return named;
}

TEST(Requirements, EveryNumberIsNamedByATest) {
  for (const auto& family : kFamilies) {
    std::string names;
    for (const auto* folder : family.folders) names += tests_below(folder);
    const auto named = named_in(names, family.before);
    for (int n = 1; n <= family.last; ++n) {
      EXPECT_EQ(named.count(n), 1U) << family.name << ": no test names " << n;
    }
  }
}

TEST(Requirements, NumbersAreReadFromNamesOfTests) {
  EXPECT_EQ(named_in("D4_X\nD11_Y\nAnswers3And5_Z\n", "D"), (std::set<int>{4, 11}));
  EXPECT_EQ(named_in("D4_X\nAnswers3And5_Z\nAnswer7_A\n", "Answers?"), (std::set<int>{3, 5, 7}));
  EXPECT_EQ(named_in("test_items_1_and_2_x\nItem9_y\nOD4_\n", "[Ii]tems?_?"),
            (std::set<int>{1, 2, 9}));
}

}  // namespace
