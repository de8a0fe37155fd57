#include "gateway/identity.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "api/fake/memory_store.h"
#include "gateway/secret_entry.h"
#include "tests/gateway/scene.h"

namespace cw::gateway {
namespace {

using std::chrono::seconds;

const api::ObjectKey kSecret{"causeway-system", key_secret(0)};
const std::string kEntry(kPrivateKeyEntry);

struct KeyFile {
  std::filesystem::path folder;  // for this test only: others run at the same time
  std::filesystem::path path;
  explicit KeyFile(const std::string& text) {
    std::string made = ::testing::TempDir() + "key-file-XXXXXX";
    folder = ::mkdtemp(made.data());
    path = folder / "key";
    std::ofstream(path) << text;
  }
  ~KeyFile() { std::filesystem::remove_all(folder); }
};

TEST(KeyFile, HoldsABase64Key) {
  const KeyFile file(private_key(3).base64() + "\n");
  const auto key = key_from_file(file.path);
  ASSERT_TRUE(key) << key.error().text;
  EXPECT_EQ(*key, private_key(3));
}

TEST(KeyFile, AnythingElseIsNamed) {
  for (const auto& text : {std::string("no key"), std::string(), std::string(10'000, 'A')}) {
    const KeyFile file(text);
    const auto key = key_from_file(file.path);
    ASSERT_FALSE(key);
    EXPECT_EQ(key.error().code, Errc::kInvalid);
    EXPECT_NE(key.error().text.find(file.path), std::string::npos);
  }
  EXPECT_NE(key_from_file("/nowhere/key").error().text.find("/nowhere/key"), std::string::npos);
  EXPECT_FALSE(key_from_file("/tmp"));  // a folder
}

TEST(OverlayKey, IsThirtyTwoRandomBytes) {
  SeededRandom random(1);
  const auto key = fresh_overlay_key(random);
  EXPECT_EQ(key.size(), 32U);
  EXPECT_NE(key, fresh_overlay_key(random));
}

// A Secret entry. The test calls reconcile() instead of an informer.
struct Keeper {
  SimLoop loop;
  SeededRandom random{1};
  api::MemoryStore store{loop, random};
  int made = 0;
  SecretEntry entry{loop, store, random, kSecret, kEntry, [this] {
                      ++made;
                      return fresh_private_key(random);
                    }};
  std::shared_ptr<const api::Secret> stored() {
    if (!store.has(api::Kind::kSecret, kSecret)) return nullptr;
    return std::make_shared<api::Secret>(store.must_get<api::Secret>(kSecret));
  }
  void settle(int rounds = 1) {
    for (int n = 0; n < rounds; ++n) {
      entry.reconcile(stored());
      loop.advance(seconds(1));
    }
  }
};

TEST(SecretEntry, IsMadeOnceAndKept) {
  Keeper k;
  k.settle();
  const auto first = k.stored();
  ASSERT_NE(first, nullptr);
  const auto key = key_from_secret(*first, kEntry);
  ASSERT_TRUE(key) << key.error().text;
  k.settle(5);
  EXPECT_EQ(k.stored()->data, first->data);
  EXPECT_EQ(k.made, 1);
}

TEST(SecretEntry, IsAddedBesideTheOthers) {
  Keeper k;
  api::Secret secret;
  secret.meta.key = kSecret;
  secret.data["another"] = private_key(8).base64();
  k.store.put(secret);
  k.settle(2);
  const auto now = k.stored();
  EXPECT_EQ(now->data.at("another"), private_key(8).base64());
  EXPECT_EQ(now->data.count(kEntry), 1U);
}

TEST(SecretEntry, ALostRaceIsRetriedOnAFreshRead) {
  Keeper k;
  k.entry.reconcile(nullptr);  // this gateway has not yet seen the Secret that another one made
  api::Secret secret;
  secret.meta.key = kSecret;
  secret.data["another"] = private_key(8).base64();
  k.store.put(secret);
  k.loop.advance(std::chrono::milliseconds(1));
  k.settle(5);
  const auto now = k.stored();
  EXPECT_EQ(now->data.at("another"), private_key(8).base64());
  EXPECT_EQ(now->data.count(kEntry), 1U);
}

TEST(SecretEntry, SaysWhyItIsMissing) {
  Keeper k;
  k.store.fail_next({Errc::kDenied, "no"});
  k.entry.reconcile(nullptr);
  k.loop.advance(std::chrono::milliseconds(1));
  EXPECT_EQ(k.entry.error(), "no");
  k.settle(10);
  EXPECT_NE(k.stored(), nullptr);
  EXPECT_EQ(k.entry.error(), "");
}

}  // namespace
}  // namespace cw::gateway
