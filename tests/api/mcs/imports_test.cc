// Which exports of a peer are imported, and the age that counts for precedence.
#include "api/mcs/imports.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "api/types/codec.h"

namespace cw::api {
namespace {

using V = ImportVerdict;

ClusterPeer::Spec peer(std::optional<std::vector<ImportRule>> imports) {
  ClusterPeer::Spec spec;
  spec.cluster_id = "west";
  spec.imports = std::move(imports);
  return spec;
}

WallTime at(int seconds) { return WallTime(std::chrono::seconds(seconds)); }

TEST(Imports, WithoutRulesEveryNameIsImportedExceptOurOwn) {
  EXPECT_EQ(import_verdict(peer({}), {"data", "pg"}, false), V::kImported);
  EXPECT_EQ(import_verdict(peer({}), {"data", "pg"}, true), V::kOverLocal);
}

TEST(Imports, AnEmptyListImportsNothing) {
  const auto none = peer(std::vector<ImportRule>{});
  EXPECT_EQ(import_verdict(none, {"data", "pg"}, false), V::kNotListed);
  EXPECT_EQ(import_verdict(none, {"data", "pg"}, true), V::kNotListed);
}

TEST(Imports, RulesNameNamespacesAndServices) {
  const auto some = peer(std::vector<ImportRule>{{"shop", "*", false, false},
                                                 {"*", "dns", false, false},
                                                 {"data", "pg", true, false},
                                                 {"data", "*", false, true}});
  EXPECT_EQ(import_verdict(some, {"shop", "web"}, false), V::kImported);
  EXPECT_EQ(import_verdict(some, {"shop", "web"}, true), V::kOverLocal);
  EXPECT_EQ(import_verdict(some, {"other", "dns"}, false), V::kImported);
  EXPECT_EQ(import_verdict(some, {"other", "web"}, false), V::kNotListed);
  EXPECT_EQ(import_verdict(some, {"data", "pg"}, true), V::kImported) << "any rule that names it";
  EXPECT_EQ(import_verdict(some, {"data", "pg2"}, true), V::kOverLocal);
  EXPECT_TRUE(follows_policy(some, {"data", "pg"}));
  EXPECT_FALSE(follows_policy(some, {"shop", "web"}));
  EXPECT_FALSE(follows_policy(peer({}), {"data", "pg"}));
}

TEST(Imports, OneRuleIsTheBehaviourOfTheMcsApi) {
  const auto all = peer(std::vector<ImportRule>{import_everything()});
  EXPECT_EQ(import_verdict(all, {"any", "thing"}, true), V::kImported);
  EXPECT_FALSE(follows_policy(all, {"any", "thing"}));
}

TEST(Imports, OfTwoPeersWithOneIdTheOlderCounts) {
  std::map<ObjectKey, std::shared_ptr<const ClusterPeer>> peers;
  for (const auto& [name, created] : {std::pair{"a", 5}, std::pair{"b", 3}, std::pair{"c", 3}}) {
    auto one = std::make_shared<ClusterPeer>();
    one->meta.key.name = name;
    one->meta.created = at(created);
    one->spec.cluster_id = "west";
    peers[one->meta.key] = one;
  }
  ASSERT_EQ(peers_by_cluster(peers).size(), 1U);
  EXPECT_EQ(peers_by_cluster(peers).at("west")->meta.key.name, "b");
  for (auto& [key, peer] : peers) {
    auto unpaired = std::make_shared<ClusterPeer>(*peer);
    unpaired->spec.unpaired = true;
    peer = unpaired;
  }
  EXPECT_TRUE(peers_by_cluster(peers).empty());
}

// A compromised peer could send exported_at=0, so that its export would be the oldest of all.
TEST(Imports, ADateBuysNoPrecedence) {
  const auto paired = at(100);
  const auto seen = at(200);
  EXPECT_EQ(precedence_of(at(0), seen, paired), seen);
  EXPECT_EQ(precedence_of(at(150), seen, paired), seen);
  EXPECT_EQ(precedence_of(at(0), at(50), paired), paired) << "an object older than the pairing";
  EXPECT_EQ(precedence_of(at(900), seen, paired), at(900)) << "a later date only loses";
}

TEST(Imports, SurviveTheCodecAndProblemsAreNamed) {
  ClusterPeer object;
  object.meta.key.name = object.spec.cluster_id = "west";
  object.spec.gateways = {{0, "k", {}}};
  for (const auto& imports : std::vector<std::optional<std::vector<ImportRule>>>{
           std::nullopt,
           std::vector<ImportRule>{},
           {{import_everything()}},
           {{{"data", "pg", true, true}, {"shop", "*", false, false}}}}) {
    object.spec.imports = imports;
    const auto back = decode<ClusterPeer>(encode(object));
    ASSERT_TRUE(back) << back.error().text;
    EXPECT_EQ(back->spec, object.spec);
  }
  auto body = encode(object);
  for (const auto* rule : {R"({})", R"({"namespace": ""})", R"({"namespace": "UP"})",
                           R"({"namespace": "a", "service": "x.y"})", R"({"namespace": 5})",
                           R"({"namespace": "a", "overLocal": "yes"})", R"("*")"}) {
    body["spec"]["imports"] = nlohmann::json::array({nlohmann::json::parse(rule)});
    EXPECT_FALSE(decode<ClusterPeer>(body)) << rule;
  }
  body["spec"]["imports"] = "all";
  EXPECT_FALSE(decode<ClusterPeer>(body)) << "never taken for the default";
}

}  // namespace
}  // namespace cw::api
