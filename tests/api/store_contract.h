// The contract of every Store. MemoryStore and the directory store run it here, the Kubernetes
// store against a real API server. A fixture has make_store() and turn(), which lets callbacks run
// until `done` or a deadline.
#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "api/store/object.h"
#include "api/types/codec.h"

namespace cw::api {

template <typename Fixture>
class StoreContract : public Fixture {
 protected:
  template <typename R>
  R wait(const std::function<Handle(std::function<void(R)>)>& call) {
    std::optional<R> result;
    const auto handle = call([&](R r) { result = std::move(r); });
    EXPECT_FALSE(result.has_value()) << "called back before it returned";
    this->turn([&] { return result.has_value(); });
    if (!result) return fail(Errc::kInternal, "no answer");
    return std::move(*result);
  }
  Result<List> list(const Selector& s) {
    return wait<Result<List>>([&](auto done) { return this->store().list(s, done); });
  }
  Result<Object> get(Kind kind, const ObjectKey& key) {
    return wait<Result<Object>>([&](auto done) { return this->store().get(kind, key, done); });
  }
  Result<Object> create(Object o) {
    return wait<Result<Object>>([&](auto done) { return this->store().create(o, done); });
  }
  Result<Object> update(Object o) {
    return wait<Result<Object>>([&](auto done) { return this->store().update(o, done); });
  }
  Result<Object> update_status(Object o) {
    return wait<Result<Object>>([&](auto done) { return this->store().update_status(o, done); });
  }
  Result<> remove(Kind kind, const ObjectKey& key, const std::string& version = "") {
    return wait<Result<>>(
        [&](auto done) { return this->store().remove(kind, key, version, done); });
  }

  static Object peer(const std::string& name, const std::string& label = "") {
    ClusterPeer p;
    p.meta.key.name = name;
    if (!label.empty()) p.meta.labels["site"] = label;
    p.spec.cluster_id = name;
    p.spec.gateways.push_back({0, "bm90IGEga2V5IGJ1dCAzMiBieXRlcyBsb25nISEhISE=", {}});
    return {Kind::kClusterPeer, p.meta.key, "", encode(p)};
  }
};

TYPED_TEST_SUITE_P(StoreContract);

TYPED_TEST_P(StoreContract, CreateStampsTheObjectAndRefusesASecondOne) {
  auto made = this->create(this->peer("east"));
  ASSERT_TRUE(made) << made.error().text;
  const auto object = decode<ClusterPeer>(made->body);
  ASSERT_TRUE(object);
  EXPECT_FALSE(object->meta.uid.empty());
  EXPECT_EQ(object->meta.generation, 1);
  EXPECT_NE(object->meta.created, WallTime{});
  EXPECT_EQ(object->meta.resource_version, made->resource_version);
  EXPECT_EQ(this->create(this->peer("east")).error().code, Errc::kExists);
}

TYPED_TEST_P(StoreContract, UpdateNeedsTheVersionThatWasRead) {
  auto first = this->create(this->peer("east"));
  auto next = *first;
  next.body["spec"]["allowedCidrs"] = {"10.0.0.0/8"};
  auto second = this->update(next);
  ASSERT_TRUE(second) << second.error().text;
  EXPECT_NE(second->resource_version, first->resource_version);
  EXPECT_EQ(decode<ClusterPeer>(second->body)->meta.generation, 2);
  EXPECT_EQ(this->update(next).error().code, Errc::kConflict);
  next.resource_version.clear();  // the write is unconditional
  next.body["spec"]["allowedCidrs"] = {"10.1.0.0/16"};
  EXPECT_TRUE(this->update(next));
  EXPECT_EQ(this->update(this->peer("west")).error().code, Errc::kNotFound);
}

TYPED_TEST_P(StoreContract, AnUpdateWithoutAChangeIsNone) {
  auto first = this->create(this->peer("east"));
  auto again = this->update(*first);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->resource_version, first->resource_version);
}

TYPED_TEST_P(StoreContract, SpecAndStatusAreWrittenApart) {
  auto object = *this->create(this->peer("east"));
  object.body["status"] = {{"connected", true}};
  object.body["spec"]["allowedCidrs"] = {"10.0.0.0/8"};
  auto after = this->update_status(object);
  ASSERT_TRUE(after) << after.error().text;
  auto value = *decode<ClusterPeer>(after->body);
  EXPECT_TRUE(value.status.connected);
  EXPECT_TRUE(value.spec.allowed_cidrs.empty());
  EXPECT_EQ(value.meta.generation, 1);
  auto next = *after;
  next.body["spec"]["allowedCidrs"] = {"10.0.0.0/8"};
  next.body.erase("status");
  after = this->update(next);
  ASSERT_TRUE(after) << after.error().text;
  value = *decode<ClusterPeer>(after->body);
  EXPECT_TRUE(value.status.connected);
  EXPECT_EQ(value.spec.allowed_cidrs.size(), 1U);
  EXPECT_EQ(this->update_status(object).error().code, Errc::kConflict);
}

TYPED_TEST_P(StoreContract, RemoveChecksTheVersionIfOneIsGiven) {
  auto object = *this->create(this->peer("east"));
  EXPECT_EQ(this->remove(Kind::kClusterPeer, {"", "east"}, "stale").error().code, Errc::kConflict);
  EXPECT_TRUE(this->remove(Kind::kClusterPeer, {"", "east"}, object.resource_version));
  EXPECT_EQ(this->remove(Kind::kClusterPeer, {"", "east"}).error().code, Errc::kNotFound);
  EXPECT_EQ(this->get(Kind::kClusterPeer, {"", "east"}).error().code, Errc::kNotFound);
}

TYPED_TEST_P(StoreContract, ListSelectsByNamespaceAndLabel) {
  ASSERT_TRUE(this->create(this->peer("east", "a")));
  ASSERT_TRUE(this->create(this->peer("west", "b")));
  EXPECT_EQ(this->list({Kind::kClusterPeer, "", ""})->items.size(), 2U);
  const auto some = this->list({Kind::kClusterPeer, "", "site=b"});
  ASSERT_EQ(some->items.size(), 1U);
  EXPECT_EQ(some->items[0].key.name, "west");
  EXPECT_TRUE(this->list({Kind::kClusterPeer, "", "site=c"})->items.empty());
}

TYPED_TEST_P(StoreContract, AWatchSeesEveryChangeAfterTheListInOrderAndOnce) {
  ASSERT_TRUE(this->create(this->peer("east")));
  const auto list = this->list({Kind::kClusterPeer, "", ""});
  std::vector<std::string> seen;
  const auto watch = this->store().watch({Kind::kClusterPeer, "", ""}, list->resource_version,
                                         {[&](WatchEvent e) {
                                            if (e.type == EventType::kBookmark) return;
                                            const char* kind = e.type == EventType::kAdded ? "+"
                                                               : e.type == EventType::kModified
                                                                   ? "~"
                                                                   : "-";
                                            seen.push_back(kind + e.object.key.name);
                                          },
                                          [&](const Error& e) { seen.push_back(e.text); }});
  auto west = *this->create(this->peer("west"));
  west.body["spec"]["allowedCidrs"] = {"10.0.0.0/8"};
  ASSERT_TRUE(this->update(west));
  ASSERT_TRUE(this->remove(Kind::kClusterPeer, {"", "east"}));
  this->turn([&] { return seen.size() >= 3; });
  this->settle();
  EXPECT_EQ(seen, (std::vector<std::string>{"+west", "~west", "-east"}));
}

TYPED_TEST_P(StoreContract, AWatchResumesAfterTheEventItLastSaw) {
  const auto list = this->list({Kind::kClusterPeer, "", ""});
  std::string version = list->resource_version;
  std::vector<std::string> seen;
  const auto handler = [&] {
    return WatchHandler{[&](WatchEvent e) {
                          version = e.object.resource_version;
                          seen.push_back(e.object.key.name);
                        },
                        [](const Error&) {}};
  };
  auto watch = this->store().watch({Kind::kClusterPeer, "", ""}, version, handler());
  ASSERT_TRUE(this->create(this->peer("a")));
  this->turn([&] { return seen.size() == 1; });
  watch.reset();
  ASSERT_TRUE(this->create(this->peer("b")));
  ASSERT_TRUE(this->create(this->peer("c")));
  watch = this->store().watch({Kind::kClusterPeer, "", ""}, version, handler());
  this->turn([&] { return seen.size() == 3; });
  EXPECT_EQ(seen, (std::vector<std::string>{"a", "b", "c"}));
}

TYPED_TEST_P(StoreContract, AnUnknownVersionIsExpired) {
  std::optional<Error> end;
  const auto watch = this->store().watch({Kind::kClusterPeer, "", ""}, "1",
                                         {[](WatchEvent) {}, [&](const Error& e) { end = e; }});
  this->turn([&] { return end.has_value(); });
  ASSERT_TRUE(end);
  EXPECT_EQ(end->code, Errc::kExpired);
}

TYPED_TEST_P(StoreContract, ADroppedHandleCallsNothingBack) {
  int calls = 0;
  {
    const auto handle =
        this->store().list({Kind::kClusterPeer, "", ""}, [&](const Result<List>&) { ++calls; });
  }
  this->settle();
  EXPECT_EQ(calls, 0);
}

TYPED_TEST_P(StoreContract, NamesThatAreNoneAreRefused) {
  for (const auto* name : {"../x", "a/b", "", ".hidden", "UPPER", "a b"}) {
    auto object = this->peer("x");
    object.key.name = name;
    object.body["metadata"]["name"] = name;
    EXPECT_EQ(this->create(object).error().code, Errc::kInvalid) << name;
  }
  auto lease = this->peer("x");
  lease.kind = Kind::kLease;
  EXPECT_EQ(this->create(lease).error().code, Errc::kInvalid);  // no namespace
}

REGISTER_TYPED_TEST_SUITE_P(StoreContract, CreateStampsTheObjectAndRefusesASecondOne,
                            UpdateNeedsTheVersionThatWasRead, AnUpdateWithoutAChangeIsNone,
                            SpecAndStatusAreWrittenApart, RemoveChecksTheVersionIfOneIsGiven,
                            ListSelectsByNamespaceAndLabel,
                            AWatchSeesEveryChangeAfterTheListInOrderAndOnce,
                            AWatchResumesAfterTheEventItLastSaw, AnUnknownVersionIsExpired,
                            ADroppedHandleCallsNothingBack, NamesThatAreNoneAreRefused);

}  // namespace cw::api
