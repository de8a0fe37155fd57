#include "gateway/feed/imports.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "api/types/codec.h"
#include "gateway/feed/messages.h"

namespace cw::gateway {
namespace {

TEST(Imports, NamesGoBothWays) {
  const auto key = import_key("east", {"shop", "db"});
  EXPECT_EQ(key, (api::ObjectKey{"shop", "db.east"}));
  EXPECT_EQ(import_name(key)->cluster, "east");
  EXPECT_EQ(import_name(key)->service, (api::ObjectKey{"shop", "db"}));
  EXPECT_FALSE(import_name({"shop", "db"}).has_value());
}

TEST(Imports, AnUnreadableImportIsReplaced) {
  const auto imported =
      imported_export(nlohmann::json::parse(R"({"metadata":{"resourceVersion":"7"},"spec":3})"));
  EXPECT_EQ(imported, (ImportedExport{"7", 0}));
  EXPECT_EQ(imported_export(nlohmann::json::parse("[]")), ImportedExport{});
  api::RemoteExport good;
  good.meta.key = {"shop", "db.east"};
  good.spec.cluster = "east";
  good.spec.service = {"shop", "db"};
  const auto read = imported_export(api::encode(good));
  EXPECT_NE(read.fingerprint, 0U);
}

// The record of the feed, the stored object and the object that is read back must be equal. A
// difference would be written again for ever.
TEST(Imports, ARecordIsTheSameInTheFeedAndInTheStore) {
  const auto body = nlohmann::json::parse(R"({"metadata":{"name":"w0.west","namespace":"bench"},
    "spec":{"cluster":"west","service":"w0","exportedAt":"2026-11-21T08:03:40Z","headless":true,
    "internalTrafficPolicy":"Cluster","ipFamilies":["IPv4","IPv6"],"sessionAffinity":"None",
    "ports":[{"name":"sql","port":5432,"protocol":"TCP","targetPort":5432}],
    "targetPorts":[{"name":"sql","port":5432,"protocol":"TCP"}],
    "endpoints":[{"addresses":["11.64.0.0"],"hostname":"w0-0","ready":true}]}})");
  const auto stored = api::decode<api::RemoteExport>(body);
  ASSERT_TRUE(stored.has_value());
  const auto wire = encode_record(stored->spec);
  const auto heard = parse_record(wire, "west");
  ASSERT_TRUE(heard.has_value()) << heard.error().text;
  EXPECT_EQ(*heard, stored->spec);
  EXPECT_EQ(heard->ports.at(0).target_port, "5432");
  EXPECT_EQ(encode_record(*heard), wire);
}

// Every combination of inputs, against the rules one by one.
TEST(Imports, EveryCaseHasOneStep) {
  for (unsigned bits = 0; bits < 64; ++bits) {
    const auto bit = [bits](unsigned n) { return (bits >> n & 1U) != 0; };
    ImportCase now;
    now.paired = bit(0);
    now.complete = bit(1);
    now.ns_exists = bit(2);
    if (bit(3)) now.wanted = 5;
    if (bit(4)) now.stored = ImportedExport{"1", bit(5) ? 5U : 4U};
    const auto step = import_step(now);
    if (!now.stored) {
      const bool creates = now.paired && now.complete && now.wanted && now.ns_exists;
      EXPECT_EQ(step, creates ? api::Verb::kCreate : api::Verb::kNone);
    } else if (!now.paired || (now.complete && !now.wanted)) {
      EXPECT_EQ(step, api::Verb::kRemove);
    } else if (now.complete && now.stored->fingerprint != *now.wanted) {
      EXPECT_EQ(step, api::Verb::kUpdate);
    } else {
      EXPECT_EQ(step, api::Verb::kNone);
    }
  }
}

}  // namespace
}  // namespace cw::gateway
