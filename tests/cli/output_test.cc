// Tables and numbers as people and programs read them.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/output/table.h"
#include "cli/output/units.h"

namespace cw::cli {
namespace {

TEST(Table, AlignsColumnsAndLeavesNoSpaceAtLineEnds) {
  Table table({"NAME", "STATE", "NOTE"});
  table.add({"a", Cell("up", Tone::kGood), ""});
  table.add({"a-long-name", Cell("connecting", Tone::kWarn), "why"});
  EXPECT_EQ(table.text(false),
            "NAME         STATE       NOTE\n"
            "a            up\n"
            "a-long-name  connecting  why\n");
}

TEST(Table, ColoursDoNotMoveColumns) {
  Table table({"STATE", "X"});
  table.add({Cell("up", Tone::kGood), "1"});
  EXPECT_EQ(table.text(true), "\x1b[2mSTATE\x1b[0m  \x1b[2mX\x1b[0m\n\x1b[32mup\x1b[0m     1\n");
}

TEST(Table, CountsCharactersNotBytes) {
  Table table({"N", "X"});
  table.add({"\xc3\xa9\xc3\xa9", "1"});  // two e-acute
  table.add({"abc", "2"});
  EXPECT_EQ(table.text(false), "N    X\n\xc3\xa9\xc3\xa9   1\nabc  2\n");
}

TEST(Table, AnEmptyCellInTheMiddleKeepsTheNextColumnInPlace) {
  Table table({"A", "B", "C"});
  table.add({"1", "", "3"});
  EXPECT_EQ(table.text(false), "A  B  C\n1     3\n");
}

TEST(Units, Bytes) {
  EXPECT_EQ(bytes_text(0), "0 B");
  EXPECT_EQ(bytes_text(1023), "1023 B");
  EXPECT_EQ(bytes_text(1024), "1.0 KiB");
  EXPECT_EQ(bytes_text(1536), "1.5 KiB");
  EXPECT_EQ(bytes_text(1024 * 1024 - 1), "1.0 MiB");
  EXPECT_EQ(bytes_text(3ULL << 30), "3.0 GiB");
  EXPECT_EQ(bytes_text(~0ULL), "16384.0 PiB");
}

TEST(Units, Ages) {
  using namespace std::chrono_literals;
  EXPECT_EQ(age_text(-1s), "0s");
  EXPECT_EQ(age_text(59s), "59s");
  EXPECT_EQ(age_text(60s), "1m");
  EXPECT_EQ(age_text(59min), "59m");
  EXPECT_EQ(age_text(47h), "47h");
  EXPECT_EQ(age_text(48h), "2d");
  EXPECT_EQ(since_text(WallTime{}, WallTime{5s}), "never");
  EXPECT_EQ(since_text(WallTime{2s}, WallTime{5s}), "3s");
}

TEST(Units, MillisecondsAndShares) {
  EXPECT_EQ(millis_text(0.314), "0.31 ms");
  EXPECT_EQ(millis_text(12.34), "12.3 ms");
  EXPECT_EQ(millis_text(234.5), "234 ms");
  EXPECT_EQ(percent_text(0), "0%");
  EXPECT_EQ(percent_text(0.0156), "1.6%");
  EXPECT_EQ(percent_text(0.5), "50%");
  EXPECT_EQ(percent_text(1), "100%");
}

}  // namespace
}  // namespace cw::cli
