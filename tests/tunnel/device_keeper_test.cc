// A driver sets again the parts of a change that failed.
#include <gtest/gtest.h>

#include "base/fake/sim_loop.h"
#include "tunnel/fake/fake_driver.h"

namespace cw::tunnel {
namespace {

TEST(DeviceKeeper, ThePartsOfAFailedChangeAreSetAgain) {
  SeededRandom random(3);
  FakeDriver driver;
  DeviceSpec spec;
  spec.private_key = Key::generate_private(random);
  const auto peer = Key::generate_private(random).public_key();
  spec.peers[peer].endpoint = *Endpoint::parse("192.0.2.1:4500");
  ASSERT_TRUE(driver.apply(spec));
  spec.peers[peer].endpoint = *Endpoint::parse("192.0.2.2:4500");
  driver.before_apply([&] { driver.fail_next({Errc::kUnavailable, "busy"}); });
  ASSERT_FALSE(driver.apply(spec));
  driver.before_apply({});
  (void)driver.take_log();
  ASSERT_TRUE(driver.apply(spec));
  EXPECT_EQ(driver.device().peers.at(peer).endpoint, *Endpoint::parse("192.0.2.2:4500"));
  EXPECT_EQ(driver.take_log(), "set " + peer.base64().substr(0, 8) + " endpoint 192.0.2.2:4500\n");
  ASSERT_TRUE(driver.apply(spec));
  EXPECT_EQ(driver.take_log(), "");
}

}  // namespace
}  // namespace cw::tunnel
