#include "gateway/feed/import_step.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "api/dir/yaml.h"
#include "api/types/codec.h"
#include "gateway/feed/messages.h"

namespace cw::gateway {
namespace {

ImportedExport read(const nlohmann::json& body) { return *api::decode<ImportedExport>(body); }

TEST(ImportStep, NamesGoBothWays) {
  const auto key = import_key("east", {"shop", "db"});
  EXPECT_EQ(key, (api::ObjectKey{"shop", "db.east"}));
  EXPECT_EQ(import_name(key)->cluster, "east");
  EXPECT_EQ(import_name(key)->service, (api::ObjectKey{"shop", "db"}));
  EXPECT_FALSE(import_name({"shop", "db"}).has_value());
}

TEST(ImportStep, AnUnreadableImportIsReplaced) {
  const auto imported =
      read(nlohmann::json::parse(R"({"metadata":{"resourceVersion":"7"},"spec":3})"));
  EXPECT_EQ(imported, (ImportedExport{"7", 0}));
  EXPECT_EQ(read(nlohmann::json::parse("[]")), ImportedExport{});
  api::RemoteExport good;
  good.meta.key = {"shop", "db.east"};
  good.spec.cluster = "east";
  good.spec.service = {"shop", "db"};
  EXPECT_EQ(read(api::encode(good)).fingerprint, 0U) << "of an older version";
}

// Otherwise a change that another writer made would stay.
TEST(ImportStep, AChangedSpecHasAnotherFingerprint) {
  api::RemoteExport object;
  object.meta.key = {"shop", "db.east"};
  object.spec = kept_out_record("east", {"shop", "db"});
  object.spec.ports = {{"sql", "TCP", "", 5432, "5432"}};
  const auto body = with_fingerprint(object, 7);
  EXPECT_EQ(read(body).fingerprint, 7U);
  // As a store shows it: other types of numbers, another order.
  EXPECT_EQ(read(nlohmann::json::parse(body.dump())).fingerprint, 7U);
  for (const auto* change : {R"({"headless":true})", R"({"ports":[]})", R"({"keptOut":true})"}) {
    auto changed = body;
    changed["spec"].update(nlohmann::json::parse(change));
    EXPECT_NE(read(changed).fingerprint, 7U) << change;
  }
  // A directory store shows the object as YAML.
  object.spec.annotations = {{"a", ""}, {"b", "1e3"}, {"c", "yes"}, {"d", "two\nlines "}};
  const auto yaml = api::parse_yaml(api::to_yaml(with_fingerprint(object, 7)), "db.east");
  ASSERT_TRUE(yaml) << yaml.error().text;
  EXPECT_EQ(read(*yaml).fingerprint, 7U);
  auto gone = body;
  gone.erase("spec");
  EXPECT_NE(read(gone).fingerprint, 7U);
}

// The record of the feed, the stored object and the object that is read back must be equal. A
// difference would be written again for ever.
TEST(ImportStep, ARecordIsTheSameInTheFeedAndInTheStore) {
  const auto body = nlohmann::json::parse(R"({"metadata":{"name":"w0.west","namespace":"bench"},
    "spec":{"cluster":"west","service":"w0","exportedAt":"2026-11-21T08:03:40Z","headless":true,
    "internalTrafficPolicy":"Cluster","ipFamilies":["IPv4","IPv6"],"sessionAffinity":"None",
    "ports":[{"name":"sql","port":5432,"protocol":"TCP","targetPort":5432}],
    "targetPorts":[{"name":"sql","port":5432,"protocol":"TCP"}],
    "endpoints":[{"addresses":["11.64.0.0"],"hostname":"w0-0","ready":true}]}})");
  const auto stored = api::decode<api::RemoteExport>(body);
  ASSERT_TRUE(stored.has_value());
  const EncodedExport said(stored->spec);
  const auto heard = said.record("west");
  EXPECT_EQ(heard, stored->spec);
  EXPECT_EQ(heard.ports.at(0).target_port, "5432");
  EXPECT_EQ(EncodedExport(heard), said);
  EXPECT_EQ(api::encode(*stored).at("spec"), body.at("spec")) << "or each start would write it";
}

// Every combination of inputs, against the rules one by one.
TEST(ImportStep, EveryCaseHasOneStep) {
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
