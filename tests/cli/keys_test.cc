#include "cli/keys.h"

#include <gtest/gtest.h>

#include <set>

#include "api/types/codec.h"
#include "base/fake/sim_loop.h"
#include "tunnel/key.h"

namespace cw::cli {
namespace {

TEST(KeySecrets, AreOnePerGatewayAndTheClustersOwn) {
  std::vector<std::string> names;
  for (const auto& secret : key_secrets(3)) names.push_back(secret.name + "/" + secret.entry);
  EXPECT_EQ(names, (std::vector<std::string>{
                       "causeway-gateway-0/privateKey", "causeway-gateway-1/privateKey",
                       "causeway-gateway-2/privateKey", "causeway-overlay-key/key"}));
}

TEST(KeySecrets, HoldFreshKeysInTheFormThatDaemonsRead) {
  SeededRandom random(1);
  std::set<std::string> seen;
  for (const auto& wanted : key_secrets(2)) {
    const auto body = fresh_secret(random, "causeway-system", wanted);
    EXPECT_EQ(body.at("type"), "Opaque");
    EXPECT_EQ(body.at("immutable"), true);
    const auto secret = api::decode<api::Secret>(body);
    ASSERT_TRUE(secret) << secret.error().text;
    EXPECT_EQ(secret->meta.key, (api::ObjectKey{"causeway-system", wanted.name}));
    const auto& value = secret->data.at(wanted.entry);
    EXPECT_TRUE(seen.insert(value).second);
    if (wanted.entry == "key") {
      EXPECT_EQ(value.size(), 32U);
    } else {
      EXPECT_TRUE(tunnel::Key::from_base64(value));
    }
  }
}

TEST(KeySecrets, AKeyThatPeersKnowIsNotReplacedUnasked) {
  const auto wanted = key_secrets(2)[1];
  EXPECT_TRUE(may_be_made("causeway-system", wanted, nullptr)) << "the first install";
  api::TunnelGateway gateway;
  gateway.meta.key.name = "gateway-1";
  EXPECT_TRUE(may_be_made("causeway-system", wanted, &gateway)) << "it never had a key";
  gateway.spec.public_key = "KEY=";
  const auto refused = may_be_made("causeway-system", wanted, &gateway);
  ASSERT_FALSE(refused);
  for (const auto* word :
       {"causeway-system/causeway-gateway-1", "gateway-1", "KEY=", "restore", "--replace"}) {
    EXPECT_NE(refused.error().text.find(word), std::string::npos) << word;
  }
}

}  // namespace
}  // namespace cw::cli
