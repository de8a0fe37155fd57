// The whole gateway on a virtual clock, with a store, a kernel and a device in memory. The tests
// set the results of probes.
#include "gateway/coordinator.h"

#include <gtest/gtest.h>

#include "api/fake/memory_store.h"
#include "base/event_loop.h"
#include "gateway/identity.h"
#include "homing/probe_claims.h"
#include "netlink/fake/fake_kernel.h"
#include "netlink/owner.h"
#include "tests/gateway/scene.h"
#include "tunnel/fake/fake_driver.h"
#include "tunnel/probe/forwarding_address.h"

namespace cw::gateway {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const tunnel::ProbeParty kWest0 = GatewayId{"west", 0};
const tunnel::ProbeParty kNode2 = tunnel::NodeName{"n2"};

// The probes' state, shared with the probers that the gateway opened.
struct Sight {
  tunnel::ProbeViews views;
  std::map<GatewayId, tunnel::ProbeTarget> targets;
  std::map<tunnel::ProbeParty, tunnel::Key> askers;
  tunnel::ProberHooks hooks;
  std::vector<GatewayId> asked;
  std::map<GatewayId, tunnel::Probe> sent;  // the last one to each target
  std::vector<tunnel::ProberConfig> opened;
};

class HandProber final : public tunnel::Prober {
 public:
  explicit HandProber(std::shared_ptr<Sight> sight) : sight_(std::move(sight)) {}
  void set_targets(const std::map<GatewayId, tunnel::ProbeTarget>& targets) override {
    sight_->targets = targets;
  }
  void set_askers(const std::map<tunnel::ProbeParty, tunnel::Key>& askers) override {
    sight_->askers = askers;
  }
  void ask_now(const GatewayId& target) override {
    sight_->asked.push_back(target);
    sight_->sent[target] = {};
    if (sight_->hooks.ask) sight_->hooks.ask(target, sight_->sent[target]);
  }
  tunnel::ProbeViews views() override { return sight_->views; }

 private:
  std::shared_ptr<Sight> sight_;
};

// The device appears as a link when the driver makes it, like the kernel's.
class LinkedDriver final : public tunnel::Driver {
 public:
  explicit LinkedDriver(netlink::FakeKernel& kernel) : kernel_(kernel) {}
  std::string name() const override { return "fake"; }
  Result<> apply(const tunnel::DeviceSpec& spec) override {
    auto done = inner.apply(spec);
    if (done && !kernel_.has_link("cw-wg")) {
      netlink::Link link;
      link.index = 7;
      link.name = "cw-wg";
      link.kind = "wireguard";
      kernel_.add_link(link);
    }
    return done;
  }
  Result<tunnel::DeviceStatus> read() override { return inner.read(); }
  Result<> move_allowed_ips(const tunnel::Key& peer, const std::set<Prefix>& prefixes) override {
    ++moves_made;
    return inner.move_allowed_ips(peer, prefixes);
  }
  std::uint64_t moves() const override { return inner.moves(); }
  bool moves_at_once() const override { return inner.moves_at_once(); }
  Result<> recreate_peer(const tunnel::Key& peer) override { return inner.recreate_peer(peer); }
  Result<> remove() override { return inner.remove(); }

  tunnel::FakeDriver inner;
  int moves_made = 0;

 private:
  netlink::FakeKernel& kernel_;
};

class GatewayStory : public ::testing::Test {
 protected:
  void SetUp() override {
    api::ClusterProperty id;
    id.meta.key.name = api::kClusterIdProperty;
    id.value = "east";
    store_.put(id);
    for (int n = 0; n < 3; ++n) put_node(n);
  }
  void put_node(int n) {
    api::Node node;
    node.meta.key.name = fmt::format("n{}", n);
    node.pod_cidrs = {net(fmt::format("10.1.{}.0/24", n))};
    node.internal_ips = {ip(fmt::format("192.0.2.{}", n + 1))};
    store_.put(node);
  }
  // The paired cluster west, with what an earlier gateway learned of it.
  void put_west(std::vector<std::uint64_t> keys = {21, 22}) {
    auto west = *peer("west", keys);
    west.status.cidrs = {net("10.2.0.0/24"), net("10.2.1.0/24"), net("10.2.2.0/24"),
                         net("10.2.3.0/24")};
    // Without a claim n1 and n2 are at gateway 0, the others at gateway 1.
    for (int n = 0; n < 4; ++n) {
      west.status.nodes.push_back({fmt::format("n{}", n), {net(fmt::format("10.2.{}.0/24", n))}});
    }
    west.spec.allowed_cidrs = {net("10.2.0.0/16")};
    store_.put(west);
  }
  void start(Duration run = seconds(3)) { start(private_key(1), true, run); }
  void start(std::optional<tunnel::Key> file_key, bool make_secrets, Duration run = seconds(3)) {
    coordinator_ = std::make_unique<Coordinator>(
        Deps{loop_,
             random_,
             store_,
             kernel_,
             driver_,
             metrics_,
             [this](tunnel::ProberConfig prober,
                    tunnel::ProberHooks hooks) -> Result<std::unique_ptr<tunnel::Prober>> {
               const bool in_tunnel = prober.device == "cw-wg";
               const auto sight = in_tunnel ? tunnel_sight_ : node_sight_;
               sight->opened.push_back(std::move(prober));
               sight->hooks = std::move(hooks);
               return std::make_unique<HandProber>(sight);
             },
             {},
             make_secrets,
             {[this](const Worker::Job& job) {
                if (late_passes_) {
                  late_.push_back(job);
                } else {
                  job()();
                }
                return true;
              },
              {}},
             &kernel_,
             no_background(),
             lookup_},
        config_of_gateway(), file_key);
    loop_.advance(run);
  }
  [[nodiscard]] Config config_of_gateway() const {
    Config config;
    config.ordinal = 0;
    config.node = "n0";
    config.service = service_;
    return config;
  }
  void see(std::uint32_t ordinal, bool usable, bool draining = false) {
    auto& view = tunnel_sight_->views[GatewayId{"west", ordinal}];
    view.usable = usable;
    view.draining = draining;
    view.state = usable ? tunnel::LinkState::kUp : tunnel::LinkState::kDown;
    tunnel_sight_->hooks.on_change(GatewayId{"west", ordinal});
  }
  std::set<Prefix> carried(std::uint64_t key) {
    auto allowed = driver_.inner.device().peers.at(public_key(key)).allowed_ips;
    for (const auto family : {Family::kV4, Family::kV6}) {
      allowed.erase(Prefix::host(tunnel::probe_address(public_key(key), family)));
    }
    return allowed;
  }
  std::vector<nlohmann::json> events(const std::string& reason) {
    std::vector<nlohmann::json> found;
    const auto handle = store_.list({api::Kind::kEvent, "default"}, [&](Result<api::List> list) {
      if (!list) return;
      for (auto& item : list->items) {
        if (item.body["reason"] == reason) found.push_back(std::move(item.body));
      }
    });
    loop_.advance(seconds(1));
    return found;
  }
  std::string reasons() { return fmt::format("{}", fmt::join(coordinator_->not_ready(), "; ")); }
  api::TunnelGateway object() { return store_.must_get<api::TunnelGateway>(gateway_key(0)); }

  std::string service_;  // of the gateway
  std::function<Result<std::vector<IpAddress>>(const std::string&)> lookup_;
  bool late_passes_ = false;  // kernel passes wait in late_
  std::vector<Worker::Job> late_;
  SimLoop loop_;
  SeededRandom random_{1};
  api::MemoryStore store_{loop_, random_};
  netlink::FakeKernel kernel_;
  LinkedDriver driver_{kernel_};
  Metrics metrics_;
  std::shared_ptr<Sight> tunnel_sight_ = std::make_shared<Sight>();
  std::shared_ptr<Sight> node_sight_ = std::make_shared<Sight>();
  std::unique_ptr<Coordinator> coordinator_;
};

TEST_F(GatewayStory, WaitsForItsClustersNameAndSaysSo) {
  store_.drop(api::Kind::kClusterProperty, {"", std::string(api::kClusterIdProperty)});
  start();
  EXPECT_NE(reasons().find("cluster.clusterset.k8s.io"), std::string::npos);
  EXPECT_FALSE(driver_.inner.exists());
  api::ClusterProperty id;
  id.meta.key.name = api::kClusterIdProperty;
  id.value = "east";
  store_.put(id);
  loop_.advance(seconds(3));
  EXPECT_TRUE(driver_.inner.exists());
}

TEST_F(GatewayStory, AnnouncesItselfInItsObject) {
  start();
  const auto gateway = object();
  EXPECT_EQ(gateway.spec.node, "n0");
  EXPECT_EQ(gateway.spec.node_ip, ip("192.0.2.1"));
  EXPECT_EQ(gateway.spec.public_key, public_key(1).base64());
  EXPECT_EQ(gateway.spec.endpoints, std::vector<Contact>{at("192.0.2.1:4500")});
  EXPECT_EQ(api::find_condition(gateway.status.conditions, "EndpointsKnown")->reason, "Node");
  EXPECT_EQ(gateway.spec.control_address, tunnel::control_address(public_key(1)));
  EXPECT_EQ(gateway.status.homed.size(), 3U);  // it is the only gateway
  EXPECT_TRUE(store_.has(api::Kind::kSecret, {"causeway-system", "causeway-overlay-key"}));
}

TEST_F(GatewayStory, FollowsItsNodeToAnotherAddress) {
  start();
  auto node = store_.must_get<api::Node>({"", "n0"});
  node.internal_ips = {ip("192.0.2.77")};
  store_.put(node);
  loop_.advance(seconds(3));
  EXPECT_EQ(object().spec.node_ip, ip("192.0.2.77"));
  EXPECT_EQ(object().spec.endpoints, std::vector<Contact>{at("192.0.2.77:4500")});
}

TEST_F(GatewayStory, AnnouncesTheAddressOfItsService) {
  service_ = "gw-0";
  start(seconds(6));
  const auto known = [this] {
    return *api::find_condition(object().status.conditions, "EndpointsKnown");
  };
  EXPECT_EQ(known().reason, "ServiceMissing");
  EXPECT_TRUE(object().spec.endpoints.empty());
  api::Service service;
  service.meta.key = {"causeway-system", "gw-0"};
  service.spec.type = "LoadBalancer";
  service.spec.ports = {{"tunnel", "UDP", "", 4500, ""}};
  service.ingress = {{"", "lb.example.com"}};
  store_.put(service);
  loop_.advance(seconds(5));
  EXPECT_EQ(object().spec.endpoints, std::vector<Contact>{*Contact::parse("lb.example.com:4500")});
  EXPECT_EQ(known().reason, "Service");
}

TEST_F(GatewayStory, CallsAGatewayAtTheAddressOfItsName) {
  auto west = *peer("west", {21});
  west.spec.gateways[0].endpoints = {*Contact::parse("gw0.example.com:4500")};
  store_.put(west);
  std::vector<std::string> asked;
  lookup_ = [&asked](const std::string& name) -> Result<std::vector<IpAddress>> {
    asked.push_back(name);
    if (asked.size() == 1) return fail(Errc::kNotFound, "has no address");
    return std::vector{ip("203.0.113.5")};
  };
  start();
  EXPECT_EQ(asked, std::vector<std::string>{"gw0.example.com"});
  EXPECT_FALSE(driver_.inner.device().peers.at(public_key(21)).endpoint);
  loop_.advance(seconds(5));
  EXPECT_EQ(driver_.inner.device().peers.at(public_key(21)).endpoint, at("203.0.113.5:4500"));
}

// west/1 cannot be reached. west/0 sees it, and sees this gateway.
TEST_F(GatewayStory, AsksWhereAGatewayIsSeenAndCallsItThere) {
  put_west();
  start();
  see(0, true);
  see(1, false);
  const GatewayId west0{"west", 0};
  tunnel::Probe request;
  tunnel_sight_->hooks.ask(west0, request);
  const auto hidden = sighting_id(public_key(22));
  EXPECT_EQ(sighting_words(homing::extensions_behind(request)).sought, std::vector{hidden});
  tunnel::Probe reply;
  homing::append_extensions(
      extensions_of({{},
                     {{sighting_id(public_key(1)), at("198.51.100.1:40001")},
                      {hidden, at("203.0.113.9:40002")},
                      {sighting_id(public_key(99)), at("203.0.113.9:40003")}}}),
      reply);
  const auto tried = [&] {
    tunnel_sight_->hooks.on_reply(west0, reply);  // it says so again and again
    loop_.advance(seconds(1));
    return driver_.inner.device().peers.at(public_key(22)).endpoint;
  };
  std::set<std::optional<Endpoint>> all;
  for (int n = 0; n < 12; ++n) all.insert(tried());
  EXPECT_EQ(all,
            (std::set<std::optional<Endpoint>>{at("192.0.2.2:4500"), at("203.0.113.9:40002")}));
  EXPECT_EQ(object().status.observed,
            (std::vector<api::ObservedEndpoint>{{"west/0", at("198.51.100.1:40001")}}));
}

TEST_F(GatewayStory, SaysWhereItSeesAGatewayOnlyIfItHasASession) {
  put_west();
  start();
  auto& west1 = driver_.inner.device().peers.at(public_key(22));
  west1.endpoint = at("203.0.113.9:40002");
  const auto answer = [this] {
    tunnel::Probe request;
    homing::append_extensions(
        extensions_of({{sighting_id(public_key(22)), sighting_id(public_key(99))}, {}}), request);
    tunnel::Probe reply;
    tunnel_sight_->hooks.answer(request, {kWest0, true}, reply);
    return sighting_words(homing::extensions_behind(reply)).seen;
  };
  loop_.advance(seconds(2));
  EXPECT_TRUE(answer().empty()) << "the endpoint is one that this gateway tries";
  west1.last_handshake = loop_.wall_now();
  loop_.advance(seconds(2));
  const auto seen = answer();
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_EQ(seen[0].first, sighting_id(public_key(22)));
  EXPECT_EQ(seen[0].second, at("203.0.113.9:40002"));
}

TEST_F(GatewayStory, MakesItsOwnSecretInAFolder) {
  start(std::nullopt, true, seconds(10));
  const auto secret = store_.must_get<api::Secret>({"causeway-system", "causeway-gateway-0"});
  const auto key = key_from_secret(secret, std::string(kPrivateKeyEntry));
  ASSERT_TRUE(key) << key.error().text;
  EXPECT_EQ(object().spec.public_key, key->public_key().base64());
}

// GitOps prunes objects that are not in its repository. The key must stay, because peers have it.
TEST_F(GatewayStory, KeepsItsKeyAndTheClustersWhenTheirSecretsVanish) {
  put_west();
  start(std::nullopt, true, seconds(10));
  const api::ObjectKey own{"causeway-system", "causeway-gateway-0"};
  const api::ObjectKey overlay{"causeway-system", std::string(kOverlaySecret)};
  const auto key = object().spec.public_key;
  const auto before = store_.must_get<api::Secret>(own).data;
  const auto overlay_before = store_.must_get<api::Secret>(overlay).data;
  store_.drop(api::Kind::kSecret, own);
  store_.drop(api::Kind::kSecret, overlay);
  for (int n = 0; n < 20; ++n) {
    loop_.advance(seconds(1));
    EXPECT_EQ(driver_.inner.device().public_key.base64(), key);
  }
  EXPECT_EQ(store_.must_get<api::Secret>(own).data, before);
  EXPECT_EQ(store_.must_get<api::Secret>(overlay).data, overlay_before);
  auto emptied = store_.must_get<api::Secret>(own);
  emptied.data.clear();
  store_.put(emptied);
  loop_.advance(seconds(10));
  EXPECT_EQ(store_.must_get<api::Secret>(own).data, before) << "the entry alone had gone";
  EXPECT_EQ(object().spec.public_key, key);
}

// The key of the Secret is replaced. Only what follows from the key begins again.
TEST_F(GatewayStory, AnotherKeyIsANewIdentityAndTheRestGoesOn) {
  put_west();
  kernel_.add_link({9, "cw-vx", "vxlan", 1420, true, {}});
  kernel_.add_address({"cw-vx", ip("fe80::5"), 64});
  start(std::nullopt, true, seconds(10));
  ASSERT_EQ(node_sight_->opened.size(), 1U);
  const auto gateway = object();
  const auto old_control = gateway.spec.control_address;
  auto secret = store_.must_get<api::Secret>({"causeway-system", "causeway-gateway-0"});
  secret.data[std::string(kPrivateKeyEntry)] = private_key(7).base64();
  store_.put(secret);
  tunnel_sight_->views.clear();
  loop_.advance(milliseconds(200));  // less than a tunnel's first verdict takes
  EXPECT_EQ(driver_.inner.device().public_key, public_key(7));
  EXPECT_EQ(driver_.inner.device().peers.size(), 2U);
  const auto control = tunnel::control_address(public_key(7));
  ASSERT_EQ(tunnel_sight_->opened.size(), 2U);
  EXPECT_EQ(tunnel_sight_->opened[1].local.address, control);
  ASSERT_EQ(node_sight_->opened.size(), 2U) << "nodes are answered at once";
  EXPECT_EQ(node_sight_->opened[1].private_key, private_key(7));
  EXPECT_EQ(reasons().find("the kernel is being programmed"), std::string::npos);
  loop_.advance(seconds(5));
  EXPECT_EQ(object().spec.public_key, public_key(7).base64());
  EXPECT_EQ(object().meta.uid, gateway.meta.uid) << "the same object";
  const auto addresses = kernel_.all_addresses();
  const auto has = [&](const IpAddress& one) {
    return std::any_of(addresses->begin(), addresses->end(),
                       [&](const auto& address) { return address.address == one; });
  };
  EXPECT_TRUE(has(control));
  EXPECT_FALSE(has(old_control));
  secret = store_.must_get<api::Secret>(secret.meta.key);
  secret.data[std::string(kPrivateKeyEntry)] = "no key";
  store_.put(secret);
  loop_.advance(seconds(5));
  EXPECT_NE(reasons().find("is not a base64 WireGuard key"), std::string::npos) << reasons();
  EXPECT_EQ(driver_.inner.device().public_key, public_key(7)) << "the last known identity stays";
}

// The gateway stops before it knows its key.
TEST_F(GatewayStory, DrainsShortlyBeforeItHasAnIdentity) {
  start(std::nullopt, false);
  bool done = false;
  coordinator_->drain([&done] { done = true; });
  EXPECT_NE(reasons().find("draining"), std::string::npos);
  loop_.advance(milliseconds(300));
  EXPECT_TRUE(done);
  EXPECT_NE(metrics_.text().find("causeway_gateway_ready 0"), std::string::npos);
}

// A directory store allows a change of the id. Remote clusters have this one under the old id.
TEST_F(GatewayStory, GoesOnUnderItsClusterIdAndSaysSoWhenTheIdIsChanged) {
  put_west();
  start();
  EXPECT_EQ(reasons().find("changed from"), std::string::npos) << reasons();
  auto id = store_.must_get<api::ClusterProperty>({"", std::string(api::kClusterIdProperty)});
  id.value = "orient";
  store_.put(id);
  loop_.advance(seconds(5));
  EXPECT_NE(reasons().find("changed from east to orient"), std::string::npos) << reasons();
  const auto object = this->object();
  const auto* ready = api::find_condition(object.status.conditions, "Ready");
  ASSERT_NE(ready, nullptr);
  EXPECT_EQ(ready->status, api::ConditionStatus::kFalse);
  EXPECT_NE(ready->message.find("Write east back"), std::string::npos) << ready->message;
  ASSERT_EQ(tunnel_sight_->opened.size(), 1U) << "the probes go on";
  EXPECT_EQ(tunnel_sight_->opened[0].self, tunnel::ProbeParty(GatewayId{"east", 0}));
  EXPECT_EQ(driver_.inner.device().peers.size(), 2U);
  id = store_.must_get<api::ClusterProperty>(id.meta.key);
  id.value = "east";
  store_.put(id);
  loop_.advance(seconds(5));
  EXPECT_EQ(reasons().find("changed from"), std::string::npos) << reasons();
}

TEST_F(GatewayStory, MakesNoSecretWhereAnInstallerDoesAndSaysWhichIsMissing) {
  start(std::nullopt, false, seconds(10));
  EXPECT_FALSE(store_.has(api::Kind::kSecret, {"causeway-system", "causeway-gateway-0"}));
  EXPECT_FALSE(store_.has(api::Kind::kSecret, {"causeway-system", "causeway-overlay-key"}));
  EXPECT_NE(reasons().find("Secret causeway-system/causeway-gateway-0 is missing"),
            std::string::npos);
  EXPECT_NE(reasons().find("causewayctl lifecycle keys"), std::string::npos);
  api::Secret secret;
  secret.meta.key = {"causeway-system", "causeway-gateway-0"};
  secret.data["privateKey"] = private_key(1).base64();
  store_.put(secret);
  loop_.advance(seconds(3));
  EXPECT_EQ(object().spec.public_key, public_key(1).base64());
}

TEST_F(GatewayStory, ReadsThePresharedKeysThatPeersNameAndNoOtherSecret) {
  put_west();
  auto west = store_.must_get<api::ClusterPeer>({"", "west"});
  west.spec.preshared_key_secret = "psk-west";
  store_.put(west);
  start();
  EXPECT_TRUE(driver_.inner.device().peers.empty());
  api::Secret secret;
  secret.meta.key = {"causeway-system", "psk-west"};
  secret.data["presharedKey"] = private_key(5).base64();
  store_.put(secret);
  loop_.advance(seconds(3));
  ASSERT_EQ(driver_.inner.device().peers.size(), 2U);
  EXPECT_TRUE(driver_.inner.device().peers.begin()->second.has_preshared_key);
}

TEST_F(GatewayStory, KeepsAPresharedKeyWhoseSecretVanishesAndTakesANewOne) {
  put_west();
  auto west = store_.must_get<api::ClusterPeer>({"", "west"});
  west.spec.preshared_key_secret = "psk-west";
  store_.put(west);
  api::Secret secret;
  secret.meta.key = {"causeway-system", "psk-west"};
  secret.data["presharedKey"] = private_key(5).base64();
  store_.put(secret);
  start();
  loop_.advance(seconds(3));
  ASSERT_EQ(driver_.inner.device().peers.size(), 2U);
  const auto reason = [this] {
    const auto conditions = store_.must_get<api::ClusterPeer>({"", "west"}).status.conditions;
    const auto* found = api::find_condition(conditions, "GatewaysAccepted");
    return found == nullptr ? std::string() : found->reason;
  };
  EXPECT_NE(reason(), "PresharedKeyKept");
  store_.drop(api::Kind::kSecret, secret.meta.key);
  loop_.advance(seconds(5));
  EXPECT_EQ(driver_.inner.device().peers.size(), 2U);
  EXPECT_TRUE(driver_.inner.device().peers.begin()->second.has_preshared_key);
  EXPECT_EQ(reason(), "PresharedKeyKept");
  store_.put(secret);
  loop_.advance(seconds(5));
  EXPECT_NE(reason(), "PresharedKeyKept");
}

TEST_F(GatewayStory, MakesThePathAndProbesOnceTheDeviceIsThere) {
  put_west();
  start();
  EXPECT_EQ(kernel_.dump_routes(netlink::kTransitTable)->size(), 8U);
  ASSERT_EQ(tunnel_sight_->opened.size(), 1U);
  EXPECT_EQ(tunnel_sight_->opened[0].local.address, tunnel::control_address(public_key(1)));
  EXPECT_EQ(tunnel_sight_->targets.size(), 2U);
  EXPECT_TRUE(node_sight_->opened.empty());
  kernel_.add_link({9, "cw-vx", "vxlan", 1420, true, {}});
  kernel_.add_address({"cw-vx", ip("fe80::5"), 64});
  loop_.advance(seconds(1));
  ASSERT_EQ(node_sight_->opened.size(), 1U);
  EXPECT_EQ(node_sight_->opened[0].local.address, ip("fe80::5"));
  EXPECT_EQ(node_sight_->opened[0].private_key, private_key(1));
  EXPECT_EQ(tunnel_sight_->opened[0].self, tunnel::ProbeParty(GatewayId{"east", 0}));
  EXPECT_EQ(tunnel_sight_->targets.at({"west", 0}).key, public_key(21));
  EXPECT_EQ(tunnel_sight_->askers.at(GatewayId{"west", 1}), public_key(22));
}

TEST_F(GatewayStory, TakesNodesKeysFromTheirObjects) {
  const auto put_agent = [this](const std::string& node, const std::string& says,
                                const std::string& key) {
    api::RouteAgent agent;
    agent.meta.key.name = node;
    agent.spec = {says, key};
    agent.status.routes = 7;
    store_.put(agent);
  };
  put_agent("n0", "n0", public_key(50).base64());
  put_agent("n1", "n0", public_key(51).base64());
  put_agent("n2", "n2", "no key");
  put_agent("gone", "gone", public_key(52).base64());
  kernel_.add_link({9, "cw-vx", "vxlan", 1420, true, {}});
  kernel_.add_address({"cw-vx", ip("fe80::5"), 64});
  start();
  using Keys = std::map<tunnel::ProbeParty, tunnel::Key>;
  EXPECT_EQ(node_sight_->askers, (Keys{{tunnel::NodeName{"n0"}, public_key(50)}}))
      << "an object counts for its own node only, and that Node must exist";
  put_agent("n2", "n2", public_key(53).base64());
  loop_.advance(seconds(1));
  EXPECT_EQ(node_sight_->askers.at(tunnel::NodeName{"n2"}), public_key(53));
  store_.drop(api::Kind::kRouteAgent, {"", "n2"});
  loop_.advance(seconds(1));
  EXPECT_EQ(node_sight_->askers.count(tunnel::NodeName{"n2"}), 1U)
      << "no traffic stops because an object was deleted";
  put_agent("n2", "n2", public_key(54).base64());
  loop_.advance(seconds(1));
  EXPECT_EQ(node_sight_->askers.at(tunnel::NodeName{"n2"}), public_key(54));
  store_.drop(api::Kind::kNode, {"", "n2"});
  loop_.advance(seconds(1));
  EXPECT_EQ(node_sight_->askers.count(tunnel::NodeName{"n2"}), 0U);
}

TEST_F(GatewayStory, ARemoteGatewayClaimsForItsOwnClustersNodesOnlyAndANodeForItself) {
  put_west();
  start();
  see(0, true);
  see(1, true);
  const auto before = carried(21);
  for (const auto* name : {"n4", "worker-0"}) {  // no cluster announced them
    for (const auto& asker : {kWest0, tunnel::ProbeParty(GatewayId{"north", 0}), kNode2,
                              tunnel::ProbeParty(GatewayId{"east", 0})}) {
      tunnel::Probe request;
      const homing::Share share{homing::owner_id(name), Family::kV4};
      homing::put_claims({{{"", share}, {1, 9}, false}, {{"west", share}, {1, 9}, false}}, request);
      tunnel::Probe reply;
      tunnel_sight_->hooks.answer(request, {asker, true}, reply);
      EXPECT_TRUE(homing::claims_of(reply).empty()) << tunnel::party_name(asker);
    }
  }
  EXPECT_EQ(carried(21), before);
}

TEST_F(GatewayStory, MovesPrefixesAtOnceWhenATunnelIsLostAndBackWhenItWorks) {
  put_west();
  start();
  see(0, true);
  see(1, true);
  loop_.advance(seconds(1));
  const auto first = carried(21);
  const auto second = carried(22);
  ASSERT_FALSE(first.empty());
  ASSERT_FALSE(second.empty());
  EXPECT_EQ(first.size() + second.size(), 4U);
  see(0, false);  // no time passes: the fast path runs in the probe's own callback
  EXPECT_EQ(carried(22).size(), 4U);
  EXPECT_TRUE(carried(21).empty());
  EXPECT_GE(driver_.moves_made, 1);
  see(0, true);
  EXPECT_EQ(carried(21), first) << "no node claims them, so they have no traffic";
  EXPECT_EQ(carried(22), second);
}

// A restored backup of west runs beside west.
TEST_F(GatewayStory, TellsAKeyThatTwoHostsUseAsAnEventOnItsObject) {
  put_west();
  start();
  see(0, true);
  see(1, true);
  auto& peer = driver_.inner.device().peers.at(public_key(21));
  for (int n = 0; n < 12; ++n) {
    peer.rx_bytes += 100;
    peer.endpoint = at(n % 2 == 0 ? "192.0.2.1:4500" : "198.51.100.1:4500");
    loop_.advance(seconds(1));
  }
  loop_.advance(seconds(10));
  const auto told = events("KeyUsedTwice");
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0]["involvedObject"]["kind"], "TunnelGateway");
  EXPECT_EQ(told[0]["involvedObject"]["name"], "gateway-0");
  EXPECT_NE(told[0]["involvedObject"]["uid"], "");
  EXPECT_EQ(told[0]["type"], "Warning");
  EXPECT_EQ(
      told[0]["message"].get<std::string>().find("two hosts use the key of west/0: its packets "
                                                 "come from 192.0.2.1:4500 and 198.51.100.1:4500"),
      0U)
      << told[0]["message"];
  EXPECT_EQ(object().status.tunnels.at(0).trouble, told[0]["message"]);
}

TEST_F(GatewayStory, TellsMovedPrefixesAsAnEventOnItsObject) {
  put_west();
  start();
  see(0, true);
  see(1, true);
  loop_.advance(seconds(20));  // prefixes that moved while tunnels came up are logged before
  const auto count = carried(21).size();
  see(0, false);
  loop_.advance(seconds(10));
  auto told = events("Switched");
  std::erase_if(told, [&](const auto& event) { return event["count"] != count; });
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0]["involvedObject"]["kind"], "TunnelGateway");
  EXPECT_NE(told[0]["involvedObject"]["uid"], "");
  EXPECT_EQ(told[0]["type"], "Warning");
  const auto message = told[0]["message"].get<std::string>();
  EXPECT_EQ(message.find("prefixes of west: gateway west/0 -> gateway west/1: the tunnel to west/0 "
                         "does not work"),
            0U)
      << message;
}

TEST_F(GatewayStory, MovesAwayFromADrainingRemoteGateway) {
  put_west();
  start();
  see(0, true);
  see(1, true);
  see(0, true, true);
  EXPECT_TRUE(carried(21).empty());
  EXPECT_EQ(carried(22).size(), 4U);
}

TEST_F(GatewayStory, TheStoreIsNotInTheWayOfAFailover) {
  put_west();
  start();
  see(0, true);
  see(1, true);
  for (int n = 0; n < 20; ++n) store_.fail_next({Errc::kUnavailable, "away"});
  see(1, false);
  EXPECT_EQ(carried(21).size(), 4U);
}

TEST_F(GatewayStory, TellsItsNodesWhatItReaches) {
  put_west();
  start();
  tunnel::Probe reply;
  tunnel_sight_->hooks.answer({}, {kWest0, true}, reply);
  EXPECT_EQ(reply.clusters, (std::vector<tunnel::ProbeCluster>{{"west", false}}));
  see(1, true);
  reply = {};
  tunnel_sight_->hooks.answer({}, {kWest0, true}, reply);
  EXPECT_EQ(reply.clusters, (std::vector<tunnel::ProbeCluster>{{"west", true}}));
  EXPECT_FALSE(reply.draining);
}

TEST_F(GatewayStory, TellsItsNodesWhereItLosesMuch) {
  put_west();
  start();
  const auto lose = [this](std::uint32_t ordinal) {
    see(ordinal, true);
    const auto name = GatewayId{"west", ordinal};
    tunnel_sight_->views[name].state = tunnel::LinkState::kDegraded;
    tunnel_sight_->hooks.on_change(name);
  };
  const auto told = [this] {
    tunnel::Probe reply;
    tunnel_sight_->hooks.answer({}, {kWest0, true}, reply);
    return reply.clusters.at(0);
  };
  lose(0);
  EXPECT_EQ(told(), (tunnel::ProbeCluster{"west", true, true})) << "its only way there";
  see(1, true);
  EXPECT_EQ(told(), (tunnel::ProbeCluster{"west", true, false}))
      << "the other remote gateway's tunnel loses nothing";
  lose(1);
  EXPECT_EQ(told(), (tunnel::ProbeCluster{"west", true, true}));
  see(0, false);
  see(1, false);
  EXPECT_EQ(told(), (tunnel::ProbeCluster{"west", false, false}));
}

TEST_F(GatewayStory, AnswersItsNodesOnlyOnceEveryTunnelHadItsFirstVerdict) {
  put_west();
  kernel_.add_link({9, "cw-vx", "vxlan", 1420, true, {}});
  kernel_.add_address({"cw-vx", ip("fe80::5"), 64});
  start(milliseconds(500));
  EXPECT_TRUE(node_sight_->opened.empty());
  see(0, true);
  loop_.advance(milliseconds(50));
  EXPECT_TRUE(node_sight_->opened.empty());
  see(1, false);
  loop_.advance(milliseconds(50));
  EXPECT_EQ(node_sight_->opened.size(), 1U);
}

TEST_F(GatewayStory, ATunnelWithoutAVerdictDoesNotSilenceItForLong) {
  put_west();
  kernel_.add_link({9, "cw-vx", "vxlan", 1420, true, {}});
  kernel_.add_address({"cw-vx", ip("fe80::5"), 64});
  start(seconds(4));
  EXPECT_EQ(node_sight_->opened.size(), 1U);
}

TEST_F(GatewayStory, ARestartTakesThePlacementFromTheDevice) {
  put_west();
  start();
  see(0, true);
  see(1, true);
  see(0, false);  // gateway 1 carries everything
  ASSERT_EQ(carried(22).size(), 4U);
  coordinator_.reset();
  tunnel_sight_->views.clear();
  driver_.moves_made = 0;
  start();
  EXPECT_EQ(carried(22).size(), 4U);
  EXPECT_EQ(driver_.moves_made, 0);
}

TEST_F(GatewayStory, ARemoteNodesClaimMovesItsPrefixBeforeItIsConfirmed) {
  put_west();
  start();
  see(0, true);
  see(1, true);
  const auto prefix = *carried(21).begin();
  ASSERT_EQ(prefix, net("10.2.1.0/24"));
  const homing::Share share{homing::owner_id("n1"), Family::kV4};
  tunnel::Probe request;
  homing::put_claims({{{"", share}, {1, 1}, false}}, request);
  tunnel::Probe reply;
  tunnel_sight_->hooks.answer(request, {kWest0, true}, reply);
  EXPECT_EQ(carried(22).count(prefix), 1U) << "any remote gateway may bring it: the node decides";
  ASSERT_EQ(homing::claims_of(reply).size(), 1U);
  EXPECT_EQ(homing::claims_of(reply)[0].claim, homing::claims_of(request)[0].claim);
  see(1, false);
  EXPECT_EQ(carried(21).count(prefix), 1U) << "a claim for a gateway that is down has to wait";
  see(1, true);
  EXPECT_EQ(carried(22).count(prefix), 1U);
}

TEST_F(GatewayStory, APeerThatFlipsItsClaimsMovesLittle) {
  put_west();
  start();
  see(0, true);
  see(1, true);
  const auto prefix = *carried(21).begin();
  ASSERT_EQ(prefix, net("10.2.1.0/24"));
  const homing::Share share{homing::owner_id("n1"), Family::kV4};
  const auto before = driver_.moves_made;
  for (std::uint64_t n = 1; n <= 20'000; ++n) {
    tunnel::Probe request;
    homing::put_claims({{{"", share}, {static_cast<std::uint32_t>(n % 2), n}, false}}, request);
    tunnel::Probe reply;
    tunnel_sight_->hooks.answer(request, {kWest0, true}, reply);
    if (n % 2 == 0) loop_.advance(milliseconds(1));
  }
  EXPECT_LE(driver_.moves_made - before, 256 + 510);
  loop_.advance(milliseconds(200));
  EXPECT_EQ(carried(21).count(prefix), 1U) << "the last claim counts";
}

TEST_F(GatewayStory, ANodesClaimGoesToEveryRemoteGatewayAtOnce) {
  put_west();
  start();
  kernel_.add_link({9, "cw-vx", "vxlan", 1420, true, {}});
  kernel_.add_address({"cw-vx", ip("fe80::5"), 64});
  see(0, true);
  see(1, true);
  loop_.advance(seconds(3));
  tunnel::Probe request;
  homing::put_claims({{{"west", {homing::owner_id("n2"), Family::kV4}}, {0, 1}, false}}, request);
  tunnel::Probe reply;
  tunnel_sight_->asked.clear();
  node_sight_->hooks.answer(request, {kNode2, true}, reply);
  node_sight_->hooks.answer(request, {kNode2, true}, reply);
  loop_.run_ready();
  EXPECT_EQ(tunnel_sight_->asked, (std::vector<GatewayId>{{"west", 0}, {"west", 1}})) << "once";
  for (const auto& target : {GatewayId{"west", 0}, GatewayId{"west", 1}}) {
    ASSERT_FALSE(homing::claims_of(reply).at(0).settled);
    tunnel_sight_->hooks.on_reply(target, tunnel_sight_->sent.at(target));
    reply = {};
    node_sight_->hooks.answer(request, {kNode2, true}, reply);
  }
  EXPECT_TRUE(homing::claims_of(reply).at(0).settled);
}

TEST_F(GatewayStory, DrainsWhenItsObjectSaysSoAndServesAgainWhenItDoesNot) {
  put_west();
  start();
  auto mine = object();
  mine.meta.annotations[std::string(api::kDrainAnnotation)] = "true";
  store_.put(mine);
  loop_.advance(seconds(3));
  tunnel::Probe reply;
  node_sight_->hooks.answer ? node_sight_->hooks.answer({}, {kNode2, true}, reply)
                            : tunnel_sight_->hooks.answer({}, {kWest0, true}, reply);
  EXPECT_TRUE(reply.draining);
  EXPECT_TRUE(object().status.draining);
  mine = object();
  EXPECT_EQ(mine.meta.annotations.size(), 1U) << "its own writes keep it";
  mine.meta.annotations.clear();
  store_.put(mine);
  loop_.advance(seconds(3));
  EXPECT_FALSE(object().status.draining);
}

TEST_F(GatewayStory, UnpairingClosesTheTunnelAndTakesTheRoutes) {
  put_west();
  start();
  ASSERT_EQ(driver_.inner.device().peers.size(), 2U);
  store_.drop(api::Kind::kClusterPeer, {"", "west"});
  loop_.advance(seconds(1));
  EXPECT_TRUE(driver_.inner.device().peers.empty());
  EXPECT_TRUE(kernel_.dump_routes(netlink::kTransitTable)->empty());
  EXPECT_TRUE(kernel_.dump_routes(netlink::kMainTable)->empty());
}

TEST_F(GatewayStory, APeerWithOurOwnKeyGetsAConditionAndBreaksNothing) {
  put_west({1, 22});  // gateway 0 has our own key
  start();
  loop_.advance(seconds(10));  // time to get the import Lease
  EXPECT_EQ(driver_.inner.device().peers.size(), 1U);
  const auto west = store_.must_get<api::ClusterPeer>({"", "west"});
  const auto* condition = api::find_condition(west.status.conditions, "GatewaysAccepted");
  ASSERT_NE(condition, nullptr);
  EXPECT_EQ(condition->reason, "OwnKey");
  const auto version = west.meta.resource_version;
  loop_.advance(seconds(30));
  EXPECT_EQ(store_.must_get<api::ClusterPeer>({"", "west"}).meta.resource_version, version)
      << "two writers disagree";
}

TEST_F(GatewayStory, OurOwnClusterAsPeerGetsACondition) {
  store_.put(*peer("east", {31}));
  start();
  loop_.advance(seconds(10));
  const auto east = store_.must_get<api::ClusterPeer>({"", "east"});
  const auto* condition = api::find_condition(east.status.conditions, "Accepted");
  ASSERT_NE(condition, nullptr);
  EXPECT_EQ(condition->reason, "OwnCluster");
  EXPECT_TRUE(driver_.inner.device().peers.empty());
}

TEST_F(GatewayStory, RepairsTheDeviceAndThePath) {
  put_west();
  start();
  driver_.inner.device().peers.erase(public_key(21));
  ASSERT_TRUE(kernel_.remove_rule(kernel_.dump_rules()->front()));
  kernel_.notify();
  loop_.advance(seconds(2));
  EXPECT_EQ(driver_.inner.device().peers.size(), 2U);
  EXPECT_EQ(kernel_.dump_rules()->size(), 2U);
}

// The nft program may take ten seconds. Tunnels and probes must not wait for it.
TEST_F(GatewayStory, APassThatTakesLongDelaysNoMove) {
  put_west();
  start();
  see(0, true);
  see(1, true);
  loop_.advance(seconds(1));
  late_passes_ = true;
  kernel_.notify();
  loop_.advance(seconds(1));
  ASSERT_EQ(late_.size(), 1U);
  see(0, false);
  EXPECT_EQ(carried(22).size(), 4U);
  ASSERT_TRUE(kernel_.remove_rule(kernel_.dump_rules()->front()));
  kernel_.notify();
  loop_.advance(seconds(10));
  EXPECT_EQ(late_.size(), 1U) << "one at a time";
  late_passes_ = false;
  for (const auto& job : std::exchange(late_, {})) job()();
  loop_.advance(seconds(1));
  EXPECT_EQ(kernel_.dump_rules()->size(), 2U);
}

TEST_F(GatewayStory, IsNotReadyBeforeItsFirstPassIsOver) {
  put_west();
  late_passes_ = true;
  start();
  EXPECT_NE(reasons().find("the kernel is being programmed"), std::string::npos);
  late_passes_ = false;
  for (const auto& job : std::exchange(late_, {})) job()();
  loop_.advance(seconds(1));
  EXPECT_EQ(reasons().find("the kernel is being programmed"), std::string::npos);
}

TEST_F(GatewayStory, IsQuietWhenNothingHappens) {
  put_west();
  start();
  see(0, true);
  see(1, true);
  loop_.advance(seconds(15));
  (void)kernel_.take_log();
  (void)driver_.inner.take_log();
  (void)store_.take_log();
  loop_.advance(seconds(60));
  EXPECT_EQ(kernel_.take_log(), "");
  EXPECT_EQ(driver_.inner.take_log(), "");
  const auto writes = store_.take_log();
  EXPECT_EQ(writes.find("TunnelGateway"), std::string::npos) << writes;
}

TEST_F(GatewayStory, CountersAloneAreWrittenRarely) {
  put_west();
  start();
  see(0, true);
  see(1, true);
  loop_.advance(seconds(15));
  (void)store_.take_log();
  for (int n = 0; n < 30; ++n) {
    driver_.inner.device().peers.at(public_key(21)).rx_bytes += 1000;
    loop_.advance(seconds(1));
  }
  const auto log = store_.take_log();
  std::size_t writes = 0;
  for (auto from = log.find("write TunnelGateway"); from != std::string::npos;
       from = log.find("write TunnelGateway", from + 1)) {
    ++writes;
  }
  EXPECT_GE(writes, 2U);
  EXPECT_LE(writes, 3U);
}

TEST_F(GatewayStory, ADrainIsSaidEverywhereBeforeTheEnd) {
  put_west();
  api::TunnelGateway other;
  other.meta.key = gateway_key(1);
  other.spec.ordinal = 1;
  other.spec.node = "n1";
  other.spec.node_ip = ip("192.0.2.2");
  other.spec.public_key = public_key(2).base64();
  other.status.conditions = {{"Ready", api::ConditionStatus::kTrue, "Working", "", 0, {}}};
  store_.put(other);
  start();
  bool done = false;
  coordinator_->drain([&done] { done = true; });
  tunnel::Probe reply;
  tunnel_sight_->hooks.answer({}, {kWest0, true}, reply);
  EXPECT_TRUE(reply.draining);
  loop_.advance(milliseconds(900));
  EXPECT_FALSE(done);
  EXPECT_TRUE(object().status.draining);
  EXPECT_TRUE(object().status.homed.empty() || object().status.homed.size() < 3);
  loop_.advance(milliseconds(200));
  EXPECT_TRUE(done);
  EXPECT_EQ(kernel_.dump_routes(netlink::kTransitTable)->size(), 8U) << "the data path stays";
}

TEST_F(GatewayStory, AloneItDrainsShortly) {
  start();
  bool done = false;
  coordinator_->drain([&done] { done = true; });
  loop_.advance(milliseconds(300));
  EXPECT_TRUE(done);
}

TEST_F(GatewayStory, ShowsItsTunnelsAsMetrics) {
  put_west();
  start();
  see(1, true);
  loop_.advance(seconds(1));
  const auto text = metrics_.text();
  EXPECT_NE(text.find("causeway_tunnel_up{cluster=\"west\",gateway=\"1\"} 1"), std::string::npos);
  EXPECT_NE(text.find("causeway_tunnel_up{cluster=\"west\",gateway=\"0\"} 0"), std::string::npos);
  store_.drop(api::Kind::kClusterPeer, {"", "west"});
  loop_.advance(seconds(1));
  EXPECT_EQ(metrics_.text().find("cluster=\"west\""), std::string::npos);
}

}  // namespace
}  // namespace cw::gateway
