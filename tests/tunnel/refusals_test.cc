#include "tunnel/probe/refusals.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/fake/sim_loop.h"

namespace cw::tunnel {
namespace {

IpAddress from(unsigned n) { return *IpAddress::parse("fd00::" + std::to_string(n)); }

TEST(Refusals, EveryDatagramIsCountedAndEachKindFromEachAddressIsToldOnce) {
  SimLoop loop;
  Metrics metrics;
  Refusals refusals(loop, metrics, "nodes");
  testing::internal::CaptureStderr();
  for (int n = 0; n < 1000; ++n) refusals.add(Refusal::kVersion, from(1), "speaks version 2");
  refusals.add(Refusal::kWrongKey, from(1), "wrong key");
  for (unsigned n = 0; n < 1000; ++n) refusals.add(Refusal::kMalformed, from(n), "size");
  const auto told = testing::internal::GetCapturedStderr();
  EXPECT_LE(std::count(told.begin(), told.end(), '\n'), static_cast<long>(Refusals::kMost));
  const auto text = metrics.text();
  EXPECT_NE(text.find("causeway_probe_refused_total{reason=\"version\",socket=\"nodes\"} 1000"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("{reason=\"wrong_key\",socket=\"nodes\"} 1"), std::string::npos);
  EXPECT_NE(text.find("{reason=\"malformed\",socket=\"nodes\"} 1000"), std::string::npos);
  EXPECT_NE(text.find("{reason=\"unknown_asker\",socket=\"nodes\"} 0"), std::string::npos);
}

}  // namespace
}  // namespace cw::tunnel
