// The store contract and Kubernetes' own rules, against the API server that KUBECONFIG names.
// e2e/kube starts one; ctest does not run this program.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>

#include "api/store/informer.h"
#include "api/store/lease_elector.h"
#include "api/store/open.h"
#include "base/event_loop.h"
#include "tests/api/store_contract.h"

namespace cw::api {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class KubeFixture : public testing::Test {
 protected:
  KubeFixture() { store_ = open(); }
  void SetUp() override { clear(Kind::kClusterPeer); }
  std::unique_ptr<Store> open() {
    auto store = open_store(loop_, random_, "kube:" + std::string(std::getenv("KUBECONFIG")));
    EXPECT_TRUE(store) << store.error().text;
    return std::move(*store);
  }
  Store& store() { return *store_; }
  void turn(const std::function<bool()>& done, Duration patience = seconds(15)) {
    const auto poll = loop_.every(milliseconds(1), [&] {
      if (done()) loop_.stop();
    });
    const auto limit = loop_.after(patience, [&] { loop_.stop(); });
    loop_.run();
    EXPECT_TRUE(done());
  }
  void settle() {
    const auto limit = loop_.after(milliseconds(100), [&] { loop_.stop(); });
    loop_.run();
  }
  void clear(Kind kind) {
    std::optional<Result<List>> found;
    const auto listing = store_->list({kind, ""}, [&](Result<List> l) { found = std::move(l); });
    turn([&] { return found.has_value(); });
    ASSERT_TRUE(*found) << found->error().text;
    std::size_t gone = 0;
    std::vector<Handle> removals;
    for (const auto& object : (*found)->items) {
      removals.push_back(store_->remove(kind, object.key, "", [&](const Result<>&) { ++gone; }));
    }
    turn([&] { return gone == removals.size(); });
  }

  EventLoop loop_;
  SystemRandom random_;
  std::unique_ptr<Store> store_;
};

using Fixtures = testing::Types<KubeFixture>;
INSTANTIATE_TYPED_TEST_SUITE_P(Kube, StoreContract, Fixtures);

using KubeStoreTest = StoreContract<KubeFixture>;

TEST_F(KubeStoreTest, AListComesInPagesAndIsWhole) {
  constexpr std::size_t kCount = 1'203;  // three pages of 500
  std::size_t made = 0;
  std::vector<Handle> writes;
  for (std::size_t i = 0; i < kCount; ++i) {
    ServiceExport object;
    object.meta.key = {"default", "svc-" + std::to_string(i)};
    writes.push_back(store().create({Kind::kServiceExport, object.meta.key, "", encode(object)},
                                    [&](const Result<Object>& r) { made += r ? 1 : 0; }));
  }
  turn([&] { return made == kCount; }, seconds(60));
  const auto all = list({Kind::kServiceExport, "default"});
  ASSERT_TRUE(all) << all.error().text;
  EXPECT_EQ(all->items.size(), kCount);
  EXPECT_FALSE(all->items.front().body["metadata"].contains("managedFields"));
  const auto one = list({Kind::kServiceExport, "default", "", "svc-7"});
  ASSERT_TRUE(one) << one.error().text;
  EXPECT_EQ(one->items.size(), 1U);
  clear(Kind::kServiceExport);
}

TEST_F(KubeStoreTest, EveryKindOfOursReadsBackAsWritten) {
  Service service;
  service.meta.key = {"default", "web"};
  service.spec.ports.push_back({"http", "TCP", "", 80, "8080"});
  service.spec.selector["app"] = "web";
  const auto made = create({Kind::kService, service.meta.key, "", encode(service)});
  ASSERT_TRUE(made) << made.error().text;
  const auto back = decode<Service>(made->body);
  ASSERT_TRUE(back) << back.error().text;
  EXPECT_EQ(back->spec.ports, service.spec.ports);
  EXPECT_FALSE(back->spec.cluster_ips.empty());
  EXPECT_TRUE(remove(Kind::kService, service.meta.key));

  EndpointSlice slice;
  slice.meta.key = {"default", "web-1"};
  slice.meta.labels["kubernetes.io/service-name"] = "web";
  slice.endpoints.push_back({{*IpAddress::parse("10.8.0.7")}, "pg-0", "", "a", true});
  slice.ports.push_back({"http", "TCP", "", 8080});
  const auto cut = create({Kind::kEndpointSlice, slice.meta.key, "", encode(slice)});
  ASSERT_TRUE(cut) << cut.error().text;
  EXPECT_EQ(decode<EndpointSlice>(cut->body)->endpoints, slice.endpoints);
  EXPECT_TRUE(remove(Kind::kEndpointSlice, slice.meta.key));

  Secret secret;
  secret.meta.key = {"default", "keys"};
  secret.data["k"] = std::string("\0\1\2", 3);
  const auto kept = create({Kind::kSecret, secret.meta.key, "", encode(secret)});
  ASSERT_TRUE(kept) << kept.error().text;
  EXPECT_EQ(decode<Secret>(kept->body)->data, secret.data);
  EXPECT_TRUE(remove(Kind::kSecret, secret.meta.key));
}

TEST_F(KubeStoreTest, AStatusWithoutAVersionIsOursWhoeverWroteBefore) {
  RouteAgent agent;
  agent.meta.key.name = agent.spec.node = "node-1";
  agent.spec.public_key = std::string(43, 'A') + "=";
  agent.status.routes = 7;
  agent.status.errors = {"one", "two"};
  const Object object{Kind::kRouteAgent, agent.meta.key, "", encode(agent)};
  EXPECT_EQ(update_status(object).error().code, Errc::kNotFound);
  ASSERT_TRUE(create(object));
  ASSERT_TRUE(update_status(object));
  agent.status.errors.clear();
  agent.status.routes = 8;
  const auto stored = update_status({Kind::kRouteAgent, agent.meta.key, "", encode(agent)});
  ASSERT_TRUE(stored) << stored.error().text;
  const auto back = decode<RouteAgent>(stored->body);
  EXPECT_EQ(back->status.routes, 8U);
  EXPECT_TRUE(back->status.errors.empty());
  EXPECT_TRUE(remove(Kind::kRouteAgent, agent.meta.key));
}

TEST_F(KubeStoreTest, AWatchOfOneObjectSeesThatOneOnly) {
  std::vector<std::string> seen;
  const Selector selector{Kind::kClusterPeer, "", "", "b"};
  const auto from = list(selector)->resource_version;
  bool open = false;
  WatchHandler handler;
  handler.on_event = [&](const WatchEvent& e) {
    if (e.type != EventType::kBookmark) seen.push_back(e.object.key.name);
  };
  handler.on_end = [&](const Error& e) { seen.push_back(e.text); };
  handler.on_open = [&] { open = true; };
  const auto watch = store().watch(selector, from, handler);
  turn([&] { return open; });
  ASSERT_TRUE(create(peer("a")));
  ASSERT_TRUE(create(peer("b")));
  turn([&] { return !seen.empty(); });
  settle();
  EXPECT_EQ(seen, std::vector<std::string>{"b"});
}

TEST_F(KubeStoreTest, OfTwoElectorsOneLeadsAndHandsOver) {
  const LeaseConfig config{{"default", "test-lease"}, "a"};
  auto other = config;
  other.identity = "b";
  auto a = std::make_unique<LeaseElector>(loop_, store(), random_, config, [](bool) {});
  turn([&] { return a->leader(); });
  auto b = std::make_unique<LeaseElector>(loop_, store(), random_, other, [](bool) {});
  settle();
  EXPECT_FALSE(b->leader());
  bool released = false;
  a->release([&] { released = true; });
  turn([&] { return released && b->leader(); });
  EXPECT_TRUE(remove(Kind::kLease, config.key));
}

TEST_F(KubeStoreTest, WhatTheServerRefusesSaysWhy) {
  auto bad = peer("east");
  bad.body["spec"]["allowedCidrs"] = {"10.0.0.0/99"};
  const auto refused = create(bad);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kInvalid);
  EXPECT_NE(refused.error().text.find("want a prefix"), std::string::npos) << refused.error().text;
}

TEST_F(KubeStoreTest, TenThousandServicesAreListedAndWatchedByOneInformer) {
  const auto* count = std::getenv("CAUSEWAY_TEST_SERVICES");
  const std::size_t wanted = count == nullptr ? 500 : std::strtoul(count, nullptr, 10);
  std::size_t made = 0;
  std::size_t begun = 0;
  std::map<std::size_t, Handle> writes;
  std::function<void()> more = [&] {
    while (begun < wanted && begun - made < 64) {
      const auto number = begun++;
      ServiceExport object;
      object.meta.key = {"default", "many-" + std::to_string(number)};
      writes[number] = store().create({Kind::kServiceExport, object.meta.key, "", encode(object)},
                                      [&](const Result<Object>& r) { made += r ? 1 : 0; });
    }
  };
  const auto pump = loop_.every(milliseconds(1), more);
  Informer<ServiceExport> informer(
      loop_, store(), random_, [] {}, "default");
  turn([&] { return made == wanted && informer.items().size() == wanted; }, seconds(120));
  const auto from = loop_.now();
  Informer<ServiceExport> second(
      loop_, store(), random_, [] {}, "default");
  turn([&] { return second.synced(); }, seconds(60));
  std::cout << wanted << " listed in "
            << std::chrono::duration_cast<milliseconds>(loop_.now() - from).count() << " ms\n";
  EXPECT_EQ(second.items().size(), wanted);
  clear(Kind::kServiceExport);
  turn([&] { return informer.items().empty() && second.items().empty(); }, seconds(60));
}

}  // namespace
}  // namespace cw::api
