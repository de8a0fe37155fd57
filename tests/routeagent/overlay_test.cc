// Which nodes agree on the overlay, and the sentences for those that do not.
#include "routeagent/node/overlay.h"

#include <gtest/gtest.h>

#include "routeagent/node_cards.h"

namespace cw::routeagent {
namespace {

OverlaySide side(std::string version, std::string mode = "vxlan") {
  return {std::move(version), std::move(mode), 4794};
}

TEST(Overlay, VersionsAreTwoNumbers) {
  EXPECT_EQ(parse_overlay_version("1.0"), (OverlayVersion{1, 0}));
  EXPECT_EQ(parse_overlay_version("65535.12"), (OverlayVersion{65535, 12}));
  EXPECT_EQ(parse_overlay_version(to_string(kOverlayVersion)), kOverlayVersion);
  for (const auto* text : {"", "1", "1.", ".1", "1.0.0", "1,0", "65536.0", "-1.0", "1.-1", " 1.0",
                           "1.0 ", "1.x", "v1.0"}) {
    EXPECT_FALSE(parse_overlay_version(text)) << text;
  }
}

TEST(Overlay, ANodeThatDiffersByAMinorVersionTakesPartOnBothSides) {
  EXPECT_FALSE(difference("n1", side("1.0"), side("1.1")));
  EXPECT_FALSE(difference("n1", side("1.1"), side("1.0")));
}

TEST(Overlay, ANodeThatHasPublishedNothingTakesPart) {
  EXPECT_FALSE(difference("n1", side("1.0"), std::nullopt));
}

TEST(Overlay, AnotherMajorVersionIsLeftOutOnBothSides) {
  const auto old = difference("n1", side("2.0"), side("1.3"));
  ASSERT_TRUE(old);
  EXPECT_EQ(old->text,
            "node n1 speaks overlay version 1.3, this node 2.0: no traffic passes between them; "
            "install the same release on both");
  EXPECT_EQ(old->theirs, "version 1.3");
  EXPECT_EQ(old->ours, "version 2.0");
  EXPECT_TRUE(difference("n2", side("1.3"), side("2.0")));
  EXPECT_TRUE(difference("n2", side("1.3"), side("")));
}

TEST(Overlay, AnotherModeIsLeftOutOnBothSides) {
  EXPECT_TRUE(difference("n1", side("1.0"), side("1.0", "wireguard")));
  EXPECT_TRUE(difference("n1", side("1.0", "wireguard"), side("1.0")));
  EXPECT_FALSE(difference("n1", side("1.0", "wireguard"), side("1.0", "wireguard")));
}

TEST(Overlay, ACardHasWhatParsesOnly) {
  api::RouteAgent::Spec spec;
  spec.public_key = "short";
  EXPECT_EQ(card_of(spec), NodeCard{});
  spec.public_key = std::string(43, 'A') + "=";
  EXPECT_FALSE(card_of(spec).key) << "the zero key";
  spec.overlay = {"1.0", "wireguard", 0};
  EXPECT_EQ(card_of(spec).overlay, side("1.0", "wireguard")) << "the default port";
}

}  // namespace
}  // namespace cw::routeagent
