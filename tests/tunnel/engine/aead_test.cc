// The data path's AEAD back ends: a known answer, and each against the other.
#include "tunnel/engine/aead.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <random>
#include <string>

namespace cw::tunnel::engine {
namespace {

// WireGuard's nonces begin with four zero bytes, so RFC 8439's own vector (nonce 07 00 00 00 40 41
// ...) does not apply. This one was made with Python's `cryptography` (ChaCha20Poly1305): key
// 00..1f, counter 0x0807060504030201, plaintext "causeway".
TEST(Aead, Item10_KnownAnswer) {
  Bytes32 key{};
  for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::uint8_t>(i);
  const std::vector<std::uint8_t> want = {0x8c, 0x87, 0xd0, 0x8b, 0xc0, 0xfb, 0xc9, 0xe5,
                                          0xb4, 0x86, 0xcd, 0x41, 0x58, 0x99, 0xf7, 0xc3,
                                          0x51, 0x15, 0x7d, 0xa6, 0xb6, 0x58, 0x5f, 0x71};
  for (const auto choice : {AeadChoice::kOpenSsl, AeadChoice::kIpsecMb}) {
    const auto aead = make_aead(choice);
    if (aead == nullptr) {
      ASSERT_EQ(choice, AeadChoice::kIpsecMb) << "OpenSSL must be there";
      continue;
    }
    std::vector<std::uint8_t> message = {'c', 'a', 'u', 's', 'e', 'w', 'a', 'y'};
    message.resize(8 + kTagSize);
    AeadItem item{0x0807060504030201, message.data(), 8, false};
    aead->seal(key, {&item, 1});
    EXPECT_EQ(message, want) << aead->name();
  }
}

// The library's self-test runs most of its code, which must not stay resident.
TEST(Aead, IpsecMbKeepsLittleOfItsCodeResident) {
  const auto aead = make_aead(AeadChoice::kIpsecMb);
  std::ifstream maps("/proc/self/smaps");
  std::string line;
  bool within = false;
  std::size_t kib = 0;
  while (std::getline(maps, line)) {
    if (line.find('-') < line.find(' ')) {
      within = line.find(" r-xp ") != std::string::npos && line.find("IPSec_MB") != line.npos;
    } else if (within && line.rfind("Rss:", 0) == 0) {
      kib += std::stoul(line.substr(4));
    }
  }
  EXPECT_LT(kib, 1024U);
}

struct Batch {
  Batch(std::size_t count, std::mt19937_64& random) {
    for (std::size_t i = 0; i < count; ++i) {
      std::vector<std::uint8_t> bytes(random() % 1601 + kTagSize);
      for (auto& b : bytes) b = static_cast<std::uint8_t>(random());
      memory.push_back(std::move(bytes));
    }
    counter = random();
  }
  std::vector<AeadItem> items() {
    std::vector<AeadItem> out;
    for (std::size_t i = 0; i < memory.size(); ++i) {
      out.push_back({counter + i, memory[i].data(), memory[i].size() - kTagSize, false});
    }
    return out;
  }
  std::vector<std::vector<std::uint8_t>> memory;
  std::uint64_t counter = 0;
};

TEST(Aead, BackEndsGiveTheSameForAllBatches) {
  const auto one = make_aead(AeadChoice::kOpenSsl);
  const auto other = make_aead(AeadChoice::kIpsecMb);
  ASSERT_NE(one, nullptr);
#if defined(__x86_64__)
  ASSERT_NE(other, nullptr);
#else
  ASSERT_EQ(other, nullptr);
  return;
#endif
  std::mt19937_64 random(9);
  for (std::size_t count = 1; count <= 64; ++count) {
    Bytes32 key{};
    for (auto& b : key) b = static_cast<std::uint8_t>(random());
    Batch a(count, random);
    auto b = a;
    const auto plain = a.memory;
    auto ia = a.items();
    auto ib = b.items();
    one->seal(key, ia);
    other->seal(key, ib);
    ASSERT_EQ(a.memory, b.memory) << count;
    ia = a.items();
    ib = b.items();
    other->open(key, ia);  // with the other back end
    one->open(key, ib);
    for (std::size_t i = 0; i < count; ++i) {
      ASSERT_TRUE(ia[i].ok && ib[i].ok);
      ASSERT_TRUE(std::equal(plain[i].begin(), plain[i].end() - kTagSize, a.memory[i].begin()));
      ASSERT_TRUE(std::equal(plain[i].begin(), plain[i].end() - kTagSize, b.memory[i].begin()));
    }
  }
}

TEST(Aead, RefusesEveryFlippedBitAndShowsNothingOfIt) {
  for (const auto choice : {AeadChoice::kOpenSsl, AeadChoice::kIpsecMb}) {
    const auto aead = make_aead(choice);
    if (aead == nullptr) continue;
    Bytes32 key{};
    key.fill(3);
    std::vector<std::uint8_t> sealed(48 + kTagSize, 5);
    AeadItem item{7, sealed.data(), 48, false};
    aead->seal(key, {&item, 1});
    for (std::size_t bit = 0; bit < sealed.size() * 8; ++bit) {
      auto bad = sealed;
      bad[bit / 8] = static_cast<std::uint8_t>(bad[bit / 8] ^ 1U << bit % 8);
      // A bad message in the middle of good ones, which are not harmed.
      auto left = sealed;
      auto right = sealed;
      std::vector<AeadItem> items = {
          {7, left.data(), 48, false}, {7, bad.data(), 48, true}, {7, right.data(), 48, false}};
      aead->open(key, items);
      ASSERT_TRUE(items[0].ok && items[2].ok);
      ASSERT_FALSE(items[1].ok) << bit;
      ASSERT_TRUE(std::all_of(bad.begin(), bad.begin() + 48, [](auto b) { return b == 0; }));
    }
    auto wrong = sealed;
    AeadItem replayed{8, wrong.data(), 48, true};
    aead->open(key, {&replayed, 1});
    EXPECT_FALSE(replayed.ok);
  }
}

TEST(Aead, TheFastestIsOneOfThem) {
  const auto aead = make_aead(AeadChoice::kFastest);
  ASSERT_NE(aead, nullptr);
  EXPECT_TRUE(aead->name() == "openssl" || aead->name() == "ipsec-mb");
}

}  // namespace
}  // namespace cw::tunnel::engine
