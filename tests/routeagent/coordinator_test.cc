// The whole route agent on a virtual clock: a store in memory, a kernel in memory, probes by hand.
#include "routeagent/coordinator.h"

#include <gtest/gtest.h>

#include "api/fake/memory_store.h"
#include "base/fake/sim_loop.h"
#include "homing/order.h"
#include "homing/probe_claims.h"
#include "netlink/hold.h"
#include "routeagent/node/hop.h"
#include "routeagent/node/vtep.h"
#include "tests/routeagent/node_kernel.h"
#include "tunnel/fake/fake_driver.h"

namespace cw::routeagent {
namespace {

using netlink::behind_hold;
using netlink::hold_address;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

IpAddress ip(std::string_view text) { return *IpAddress::parse(text); }
Prefix net(std::string_view text) { return *Prefix::parse(text); }

const OverlayKey kOverlayKey = [] {
  OverlayKey key{};
  key.fill('k');
  return key;
}();

// The probes' state as the test sets it. The agent's prober shares it.
struct Sight {
  tunnel::ProbeViews views;
  std::map<GatewayId, tunnel::ProbeTarget> targets;
  tunnel::ProberConfig config;
  tunnel::ProberHooks hooks;
  std::vector<GatewayId> asked;
  int opened = 0;
  bool refuse = false;
};

class HandProber final : public tunnel::Prober {
 public:
  explicit HandProber(std::shared_ptr<Sight> sight) : sight_(std::move(sight)) {}
  void set_targets(const std::map<GatewayId, tunnel::ProbeTarget>& targets) override {
    sight_->targets = targets;
  }
  void ask_now(const GatewayId& target) override { sight_->asked.push_back(target); }
  tunnel::ProbeViews views() override {
    tunnel::ProbeViews views;
    for (const auto& [name, endpoint] : sight_->targets) views[name] = sight_->views[name];
    return views;
  }

 private:
  std::shared_ptr<Sight> sight_;
};

class CoordinatorStory : public ::testing::Test {
 protected:
  void SetUp() override {
    api::ClusterProperty id;
    id.meta.key.name = api::kClusterIdProperty;
    id.value = "east";
    store_.put(id);
    for (int n = 1; n <= 3; ++n) put_node(n);
    put_gateway(0, 1);
    put_gateway(1, 2);
    put_peer("west", {net("10.2.0.0/16")});
    put_overlay_key('k');
  }

  std::vector<nlohmann::json> events() {
    std::vector<nlohmann::json> all;
    const auto handle = store_.list({api::Kind::kEvent, "default"}, [&](Result<api::List> list) {
      if (!list) return;
      for (auto& item : list->items) all.push_back(std::move(item.body));
    });
    loop_.advance(seconds(1));
    return all;
  }
  [[nodiscard]] api::Condition pod_network() {
    loop_.advance(seconds(12));
    const auto conditions = status().conditions;
    const auto* found = api::find_condition(conditions, "PodNetworkFits");
    return found == nullptr ? api::Condition{} : *found;
  }

  void put_overlay_key(char letter) {
    api::Secret key;
    key.meta.key = {"causeway-system", "causeway-overlay-key"};
    key.data["key"] = std::string(32, letter);
    store_.put(key);
  }

  void put_node(int n) {
    api::Node node;
    node.meta.key.name = "n" + std::to_string(n);
    node.pod_cidrs = {net("10.1." + std::to_string(n) + ".0/24")};
    node.internal_ips = {ip("10.0.0." + std::to_string(n))};
    store_.put(node);
  }
  // The public key that node n publishes.
  tunnel::Key publish_key(int n, const std::string& version = "1.0",
                          const std::string& mode = "wireguard") {
    api::RouteAgent agent;
    agent.spec.overlay = {version, mode, 4794};
    agent.meta.key.name = agent.spec.node = "n" + std::to_string(n);
    const auto key = tunnel::Key::generate_private(random_).public_key();
    agent.spec.public_key = key.base64();
    store_.put(agent);
    return key;
  }
  void put_gateway(std::uint32_t ordinal, int node) {
    api::TunnelGateway gateway;
    gateway.meta.key.name = "gateway-" + std::to_string(ordinal);
    gateway.spec.ordinal = ordinal;
    gateway.spec.public_key = std::string(43, 'A') + "=";
    gateway.spec.node = "n" + std::to_string(node);
    gateway.spec.node_ip = ip("10.0.0." + std::to_string(node));
    store_.put(gateway);
  }
  void put_peer(const std::string& id, std::vector<Prefix> prefixes) {
    api::ClusterPeer peer;
    peer.meta.key.name = peer.spec.cluster_id = id;
    peer.spec.gateways = {{0, std::string(43, 'A') + "=", {}}};
    peer.spec.allowed_cidrs = prefixes;
    peer.status.cidrs = std::move(prefixes);
    store_.put(peer);
  }

  void start(const std::string& node = "n3", Duration settle = seconds(1)) {
    config_.node = node;
    config_.store = "dir:/none";
    coordinator_ = std::make_unique<Coordinator>(
        Deps{loop_, random_, store_, kernel_, metrics_, config_, node_key_,
             LedgerFile{remembered_,
                        [this](std::string text, LedgerFile::Done done) {
                          file_ = std::move(text);
                          loop_.post([this, done] { done(disk_); });
                        }},
             [this](tunnel::ProberConfig config,
                    tunnel::ProberHooks hooks) -> Result<std::unique_ptr<tunnel::Prober>> {
               if (sight_->refuse) return fail(Errc::kUnavailable, "port 4796 is taken");
               ++sight_->opened;
               sight_->config = std::move(config);
               sight_->hooks = std::move(hooks);
               return std::make_unique<HandProber>(sight_);
             },
             ForwardingProbes::Open{}, background_, &kernel_, ForwardMemory{},
             [this]() -> Result<std::unique_ptr<tunnel::Driver>> {
               auto made = std::make_unique<tunnel::FakeDriver>();
               hop_ = made.get();
               kernel_.links["cw-nd"] = {9, "cw-nd", "tun", 1420, false, {}};
               kernel_.sysctls["ipv6/conf/cw-nd/disable_ipv6"] = "0";
               return made;
             }});
    loop_.advance(settle);
    kernel_event(settle);
  }
  void kernel_event(Duration settle = seconds(1)) {
    kernel_.notify();
    loop_.advance(settle);
  }
  void sees(std::uint32_t ordinal, tunnel::LinkState state, std::set<std::string> reaches,
            bool draining = false) {
    const auto name = gateway_target(ordinal);
    auto& view = sight_->views[name];
    view.state = state;
    view.usable = state == tunnel::LinkState::kUp || state == tunnel::LinkState::kDegraded;
    view.draining = draining;
    view.clusters.clear();
    for (const auto& cluster : reaches) view.clusters.push_back({cluster, true});
    if (sight_->hooks.on_change) sight_->hooks.on_change(name);
  }
  void all_up() {
    sees(0, tunnel::LinkState::kUp, {"west"});
    sees(1, tunnel::LinkState::kUp, {"west"});
    loop_.advance(seconds(2));
  }
  // The home order of the gateways for n3.
  static std::vector<std::uint32_t> order() {
    const std::vector<homing::GatewayView> views{{0, true, false, {}}, {1, true, false, {}}};
    return homing::home_order({"east", "n3"}, views);
  }
  // The claims in a request to the gateway.
  std::vector<homing::ProbeClaim> claims_to(std::uint32_t ordinal) {
    tunnel::Probe request;
    sight_->hooks.ask(gateway_target(ordinal), request);
    return homing::claims_of(request);
  }
  homing::ProbeClaim asks(std::uint32_t ordinal) {
    const auto claims = claims_to(ordinal);
    EXPECT_EQ(claims.size(), 1U);
    return claims.empty() ? homing::ProbeClaim{} : claims[0];
  }
  // The gateway echoes the node's claims.
  void tells(std::uint32_t ordinal, bool settled = false) {
    tunnel::Probe reply;
    auto claims = claims_to(ordinal);
    for (auto& entry : claims) entry.settled = settled;
    homing::put_claims(claims, reply);
    sight_->hooks.on_reply(gateway_target(ordinal), reply);
  }
  static IpAddress gateway_address(std::uint32_t ordinal) {
    return vtep_address(kOverlayKey, ip(ordinal == 0 ? "10.0.0.1" : "10.0.0.2"));
  }
  std::optional<IpAddress> carrier() {
    for (const auto& [id, nexthop] : kernel_.nexthops) return nexthop.gateway;
    return std::nullopt;
  }
  api::RouteAgent::Status status() {
    return store_.must_get<api::RouteAgent>({"", config_.node}).status;
  }
  [[nodiscard]] netlink::RouteType route_type() const {
    return kernel_.routes.at({7487, net("10.2.0.0/16"), 0}).type;
  }

  // Runs the passes that the background has queued.
  void run_passes() {
    for (const auto& job : std::exchange(late_, {})) job()();
    loop_.advance(seconds(1));
  }

  bool late_passes_ = false;
  std::vector<Worker::Job> late_;
  Background background_{[this](const Worker::Job& job) {
                           if (late_passes_) {
                             late_.push_back(job);
                           } else {
                             job()();
                           }
                           return true;
                         },
                         no_background().ask};
  SimLoop loop_;
  SeededRandom random_{7};
  tunnel::FakeDriver* hop_ = nullptr;  // of the agent that runs
  tunnel::Key node_key_ = tunnel::Key::generate_private(random_);
  api::MemoryStore store_{loop_, random_};
  NodeKernel kernel_;
  Metrics metrics_;
  Config config_;
  Result<Ledger> remembered_;  // the host's file at start
  std::string file_;           // the file as last written
  Result<> disk_;              // the result of a write
  std::shared_ptr<Sight> sight_ = std::make_shared<Sight>();
  std::unique_ptr<Coordinator> coordinator_;
};

TEST_F(CoordinatorStory, ClosesRemotePrefixesBeforeAnythingElse) {
  remembered_ = Ledger{{"north", {{net("10.9.0.0/16")}, {}}}};
  const auto id = store_.must_get<api::ClusterProperty>({"", std::string(api::kClusterIdProperty)});
  store_.drop(api::Kind::kClusterProperty, id.meta.key);  // the agent must wait for it
  start();
  const auto rule = [](const char* to) {
    return netlink::Rule{Family::kV4, netlink::kClosedPriority, 0, {}, net(to), true};
  };
  EXPECT_EQ(kernel_.rules.count(rule("10.9.0.0/16")), 1U) << "from the file, without the store";
  EXPECT_FALSE(kernel_.vxlan);
  kernel_.rules.clear();
  kernel_event(milliseconds(500));
  EXPECT_EQ(kernel_.rules.count(rule("10.9.0.0/16")), 1U) << "repaired without the store";
  store_.put(id);
  loop_.advance(seconds(3));
  EXPECT_EQ(kernel_.rules.count(rule("10.2.0.0/16")), 1U);
  EXPECT_EQ(kernel_.rules.count(rule("10.9.0.0/16")), 1U);
  EXPECT_EQ(status().closed, (std::vector<std::string>{"north", "west"}));
  EXPECT_EQ(parse_ledger(file_)->size(), 2U);
}

TEST_F(CoordinatorStory, OpensAClusterOnlyWhenItIsUnpaired) {
  start();
  all_up();
  const netlink::Rule rule{Family::kV4, netlink::kClosedPriority, 0, {}, net("10.2.0.0/16"), true};
  auto peer = store_.must_get<api::ClusterPeer>({"", "west"});
  store_.drop(api::Kind::kClusterPeer, {"", "west"});
  loop_.advance(seconds(2));
  EXPECT_TRUE(kernel_.routes.count({7487, net("10.2.0.0/16"), 0}) == 0);
  EXPECT_EQ(kernel_.rules.count(rule), 1U);
  EXPECT_EQ(status().closed, std::vector<std::string>{"west"});
  peer.spec.unpaired = true;
  peer.spec.gateways.clear();
  store_.put(peer);
  loop_.advance(seconds(3));
  EXPECT_EQ(kernel_.rules.count(rule), 0U);
  EXPECT_EQ(kernel_.nft.count("causeway-closed"), 0U);
  EXPECT_TRUE(status().closed.empty());
  EXPECT_TRUE(parse_ledger(file_)->empty());
}

TEST_F(CoordinatorStory, BringsTheNodeUpAndReportsIt) {
  start("n3", milliseconds(300));  // too short for probes to mean something
  EXPECT_TRUE(kernel_.vxlan) << "before any probe";
  EXPECT_EQ(route_type(), netlink::RouteType::kUnreachable) << "nothing leaks meanwhile";
  EXPECT_FALSE(coordinator_->not_ready().empty());
  EXPECT_EQ(sight_->targets.at(gateway_target(1)).to, (Endpoint{gateway_address(1), 4797}));
  EXPECT_EQ(sight_->config.local.port, 4796);
  EXPECT_EQ(sight_->config.device, "cw-vx");
  all_up();
  EXPECT_EQ(carrier(), gateway_address(order()[0]));
  EXPECT_EQ(route_type(), netlink::RouteType::kUnicast);
  EXPECT_TRUE(coordinator_->not_ready().empty()) << coordinator_->not_ready().front();
  const auto told = status();
  ASSERT_EQ(told.chosen.size(), 1U);
  EXPECT_EQ(told.chosen[0].cluster, "west");
  EXPECT_EQ(told.chosen[0].ordinal, order()[0]);
  EXPECT_EQ(told.chosen[0].reason, "home of node n3");
  EXPECT_EQ(told.routes, 1U);
  EXPECT_TRUE(told.errors.empty());
  ASSERT_EQ(told.conditions.size(), 4U);
  EXPECT_EQ(told.conditions[3].type, "PodNetworkFits");
  EXPECT_EQ(told.conditions[3].status, api::ConditionStatus::kTrue);
  EXPECT_EQ(told.conditions[2].type, "HostServed");
  EXPECT_EQ(told.conditions[2].status, api::ConditionStatus::kFalse) << "no address in 10.1.3.0/24";
  EXPECT_EQ(told.conditions[0].status, api::ConditionStatus::kTrue);
  EXPECT_EQ(told.conditions[1].status, api::ConditionStatus::kTrue);
  ASSERT_EQ(told.gateways.size(), 2U);
  EXPECT_EQ(told.gateways[0].state, "up");
}

TEST_F(CoordinatorStory, SwitchesInTheProbesOwnTurn) {
  start();
  all_up();
  kernel_.changes = 0;
  sees(order()[0], tunnel::LinkState::kDown, {});
  EXPECT_EQ(carrier(), gateway_address(order()[1])) << "no time has passed";
  EXPECT_EQ(kernel_.changes, 1);
  loop_.advance(seconds(2));
  EXPECT_EQ(kernel_.changes, 1);
  EXPECT_EQ(status().chosen[0].reason, "gateway " + std::to_string(order()[0]) + " is down");
}

// The nft program may take ten seconds. If the gateway fails in that time, the node leaves it at
// once, and the pass does not choose it again.
TEST_F(CoordinatorStory, APassThatTakesLongDelaysNoSwitchAndUndoesNone) {
  start();
  all_up();
  late_passes_ = true;
  put_peer("north", {net("10.3.0.0/16")});
  loop_.advance(seconds(1));
  ASSERT_EQ(late_.size(), 2U) << "the guard of its prefixes, then the pass";
  sees(order()[0], tunnel::LinkState::kDown, {});
  EXPECT_EQ(carrier(), gateway_address(order()[1]));
  loop_.advance(seconds(5));
  EXPECT_LE(late_.size(), 3U) << "one pass at a time, and a look at other programs' chains";
  run_passes();
  EXPECT_EQ(carrier(), gateway_address(order()[1])) << "the old pass wanted the other";
  run_passes();
  late_passes_ = false;
  kernel_event();
  EXPECT_EQ(carrier(), gateway_address(order()[1]));
  EXPECT_TRUE(kernel_.routes.count({7487, net("10.3.0.0/16"), 0}) != 0);
}

// Listing ten thousand links takes long. In that time the agent uses the last known state.
TEST_F(CoordinatorStory, ALookAtTheHostThatTakesLongDelaysNoSwitchAndNoNews) {
  start();
  all_up();
  late_passes_ = true;
  kernel_event();
  const auto waiting = late_.size();
  ASSERT_GE(waiting, 1U) << "the look at the host, and at the guard";
  sees(order()[0], tunnel::LinkState::kDown, {});
  EXPECT_EQ(carrier(), gateway_address(order()[1]));
  put_peer("north", {net("10.3.0.0/16")});
  kernel_event();
  EXPECT_GT(late_.size(), waiting) << "the pass for the new peer does not wait for the look";
  while (!late_.empty()) run_passes();
  late_passes_ = false;
  loop_.advance(seconds(1));
  EXPECT_EQ(carrier(), gateway_address(order()[1]));
  EXPECT_TRUE(kernel_.routes.count({7487, net("10.3.0.0/16"), 0}) != 0);
}

TEST_F(CoordinatorStory, IsNotReadyBeforeItsFirstPassIsOver) {
  late_passes_ = true;
  start();
  ASSERT_FALSE(late_.empty()) << "the look at the host";
  EXPECT_FALSE(coordinator_->not_ready().empty());
  run_passes();
  const auto reasons = coordinator_->not_ready();
  EXPECT_NE(std::find(reasons.begin(), reasons.end(), "the kernel is being programmed"),
            reasons.end());
  run_passes();
  late_passes_ = false;
  all_up();
  EXPECT_TRUE(coordinator_->not_ready().empty());
}

TEST_F(CoordinatorStory, TellsASwitchAsAnEventOnItsObject) {
  start();
  all_up();
  sees(order()[0], tunnel::LinkState::kDown, {});
  loop_.advance(seconds(10));
  const auto events = this->events();
  ASSERT_EQ(events.size(), 1U) << "the first choice is no switch";
  EXPECT_EQ(events[0]["involvedObject"]["kind"], "RouteAgent");
  EXPECT_EQ(events[0]["involvedObject"]["name"], "n3");
  EXPECT_NE(events[0]["involvedObject"]["uid"], "");
  EXPECT_EQ(events[0]["type"], "Warning");
  const auto message = events[0]["message"].get<std::string>();
  const auto lost = std::to_string(order()[0]);
  EXPECT_NE(message.find("gateway " + lost + " -> gateway " + std::to_string(order()[1]) +
                         ": gateway " + lost + " is down"),
            std::string::npos)
      << message;
}

// Discovery on the same host follows this while the store is unreachable.
TEST_F(CoordinatorStory, SaysWhichClustersAnyGatewayReaches) {
  using Reached = std::map<std::string, bool>;
  put_peer("north", {net("10.9.0.0/16")});
  start();
  int told = 0;
  coordinator_->set_on_reach([&] { ++told; });
  EXPECT_FALSE(coordinator_->reach()) << "no probe has been answered yet";
  all_up();
  EXPECT_EQ(coordinator_->reach(), (Reached{{"north", false}, {"west", true}}));
  sees(0, tunnel::LinkState::kUp, {});
  EXPECT_EQ(coordinator_->reach()->at("west"), true) << "the other one reaches it";
  const auto before = told;
  store_.unavailable({Errc::kUnavailable, "down"});
  sees(1, tunnel::LinkState::kDown, {"west"});
  EXPECT_GT(told, before);
  EXPECT_EQ(coordinator_->reach(), (Reached{{"north", false}, {"west", false}}));
  sees(0, tunnel::LinkState::kUp, {"north"});
  EXPECT_EQ(coordinator_->reach(), (Reached{{"north", true}, {"west", false}}));
}

TEST_F(CoordinatorStory, LeavesAGatewayThatLosesMuchOnItsWayOrOnOurs) {
  start();
  all_up();
  const auto name = gateway_target(order()[0]);
  sight_->views[name].clusters = {{"west", true, true}};
  sight_->hooks.on_change(name);
  loop_.advance(seconds(2));
  EXPECT_EQ(carrier(), gateway_address(order()[1]));
  EXPECT_EQ(status().chosen[0].reason,
            "gateway " + std::to_string(order()[0]) + " loses much on the way to west");
  sees(order()[1], tunnel::LinkState::kDegraded, {"west"});
  loop_.advance(seconds(2));
  EXPECT_EQ(carrier(), gateway_address(order()[0])) << "all lose much: the home";
  all_up();
  EXPECT_EQ(carrier(), gateway_address(order()[0]));
}

TEST_F(CoordinatorStory, SwitchesWithTheStoreAway) {
  start();
  all_up();
  store_.fail_next({Errc::kUnavailable, "away"});
  sees(order()[0], tunnel::LinkState::kDown, {});
  EXPECT_EQ(carrier(), gateway_address(order()[1]));
  loop_.advance(minutes(1));
  EXPECT_EQ(status().chosen[0].ordinal, order()[1]) << "written when the store is back";
}

TEST_F(CoordinatorStory, GoesBackAfterTheHoldDownByItself) {
  start();
  all_up();
  sees(order()[0], tunnel::LinkState::kDown, {});
  loop_.advance(seconds(5));
  sees(order()[0], tunnel::LinkState::kUp, {"west"});
  loop_.advance(minutes(2) - seconds(1));
  EXPECT_EQ(carrier(), gateway_address(order()[1]));
  loop_.advance(seconds(2));
  EXPECT_EQ(carrier(), gateway_address(order()[0]));
}

TEST_F(CoordinatorStory, LeavesADrainingGateway) {
  start();
  all_up();
  tells(order()[0]);
  sight_->asked.clear();
  sees(order()[0], tunnel::LinkState::kUp, {"west"}, true);
  const auto held = carrier();
  EXPECT_EQ(held, hold_address(kernel_.nexthops.begin()->first)) << "packets wait on this node";
  EXPECT_EQ(sight_->asked, std::vector{gateway_target(order()[0])})
      << "the carrier that is left gets the claim first, and alone";
  EXPECT_EQ(asks(order()[0]).claim.ordinal, order()[1]);
  EXPECT_TRUE(claims_to(order()[1]).empty());
  loop_.advance(milliseconds(50));
  EXPECT_EQ(carrier(), held);
  (void)kernel_.take_log();
  tells(order()[0], true);
  EXPECT_EQ(carrier(), gateway_address(order()[1])) << "confirmed: no time passes";
  EXPECT_EQ(kernel_.neighbours.count(*held), 0U);
  const auto id = kernel_.nexthops.begin()->first;
  const auto behind = behind_hold(id).gateway->to_string();
  const auto log = kernel_.take_log();
  const std::vector<std::size_t> order_of{
      log.find("via " + behind), log.find("neigh " + held->to_string()),
      log.find("neigh " + behind), log.find("via " + gateway_address(order()[1]).to_string())};
  EXPECT_TRUE(std::is_sorted(order_of.begin(), order_of.end()) &&
              order_of.back() != std::string::npos)
      << log << "packets that come while the queue goes out wait in another one";
  EXPECT_EQ(kernel_.neighbours.count(*behind_hold(id).gateway), 0U) << "nothing stays";
  EXPECT_EQ(asks(order()[1]).claim.ordinal, order()[1]);
}

TEST_F(CoordinatorStory, AHandoverWithoutAConfirmationGoesOn) {
  start();
  all_up();
  sees(order()[0], tunnel::LinkState::kUp, {"west"}, true);
  loop_.advance(milliseconds(590));
  EXPECT_NE(carrier(), gateway_address(order()[1]));
  loop_.advance(milliseconds(20));
  EXPECT_EQ(carrier(), gateway_address(order()[1]));
}

TEST_F(CoordinatorStory, ACarrierThatDiesDuringItsHandoverIsNotWaitedFor) {
  start();
  all_up();
  sees(order()[0], tunnel::LinkState::kUp, {"west"}, true);
  sees(order()[0], tunnel::LinkState::kDown, {"west"}, true);
  EXPECT_EQ(carrier(), gateway_address(order()[1]));
}

TEST_F(CoordinatorStory, ADeadCarrierIsLeftAtOnceAndAllOthersHearIt) {
  start();
  all_up();
  sight_->asked.clear();
  sees(order()[0], tunnel::LinkState::kDown, {});
  EXPECT_EQ(carrier(), gateway_address(order()[1]));
  EXPECT_EQ(sight_->asked.size(), 2U);
  EXPECT_EQ(asks(order()[1]).claim.ordinal, order()[1]);
}

TEST_F(CoordinatorStory, ARestartedAgentOutbidsItsOwnOldClaims) {
  start();
  all_up();
  tunnel::Probe reply;
  const auto other = order()[1];
  homing::put_claims({{{"west", {homing::owner_id("n3"), Family::kV4}}, {other, 900}, true}},
                     reply);
  sight_->hooks.on_reply(gateway_target(0), reply);
  EXPECT_EQ(asks(0).claim, (homing::Claim{order()[0], 901}));
}

TEST_F(CoordinatorStory, WithNoGatewayRoutesBecomeUnreachableAndComeBack) {
  start();
  all_up();
  sees(0, tunnel::LinkState::kUp, {});
  sees(1, tunnel::LinkState::kUp, {});
  loop_.run_ready();
  EXPECT_EQ(route_type(), netlink::RouteType::kUnreachable);
  EXPECT_TRUE(kernel_.nexthops.empty());
  loop_.advance(seconds(2));
  EXPECT_EQ(status().chosen[0].ordinal, -1);
  all_up();
  EXPECT_EQ(route_type(), netlink::RouteType::kUnicast);
  EXPECT_EQ(carrier(), gateway_address(order()[0]));
}

TEST_F(CoordinatorStory, OnTheGatewayItselfTheTunnelCarries) {
  kernel_.add_tunnel();
  start("n1");
  all_up();
  ASSERT_EQ(kernel_.nexthops.size(), 1U);
  EXPECT_EQ(kernel_.nexthops.begin()->second.link, "cw-wg");
  EXPECT_EQ(kernel_.rules.size(), 9U) << "two tables and a bypass a family, a closed prefix";
  kernel_.drop_link("cw-wg");
  kernel_event();
  EXPECT_EQ(carrier(), gateway_address(1)) << "without a tunnel device it cannot carry";
  EXPECT_EQ(status().chosen[0].reason, "gateway 0 has no tunnel device");
}

TEST_F(CoordinatorStory, ARestartChangesNothing) {
  start();
  all_up();
  const auto nexthops = kernel_.nexthops;
  const auto routes = kernel_.routes;
  coordinator_.reset();
  EXPECT_EQ(kernel_.nexthops, nexthops) << "a stop leaves the data path";
  sight_ = std::make_shared<Sight>();
  start("n3", milliseconds(250));
  EXPECT_EQ(kernel_.nexthops, nexthops) << "nothing has answered yet";
  EXPECT_EQ(kernel_.routes, routes);
  all_up();
  EXPECT_EQ(kernel_.nexthops, nexthops);
}

TEST_F(CoordinatorStory, GatewaysThatStaySilentAreDownInTheEnd) {
  start();
  sees(1, tunnel::LinkState::kUp, {"west"});
  loop_.advance(seconds(5));
  EXPECT_EQ(carrier(), gateway_address(1));
}

TEST_F(CoordinatorStory, WaitsForMissingObjectsAndSaysSo) {
  store_.drop(api::Kind::kNode, {"", "n3"});
  start();
  EXPECT_EQ(coordinator_->not_ready().at(0), "waiting for Node n3");
  EXPECT_FALSE(kernel_.vxlan) << "the kernel is left alone";
  store_.drop(api::Kind::kClusterProperty, {"", std::string(api::kClusterIdProperty)});
  put_node(3);
  loop_.advance(seconds(1));
  EXPECT_NE(coordinator_->not_ready().at(0).find("cluster.clusterset.k8s.io"), std::string::npos);
  api::ClusterProperty id;
  id.meta.key.name = api::kClusterIdProperty;
  id.value = "east";
  store_.put(id);
  loop_.advance(seconds(1));
  EXPECT_TRUE(kernel_.vxlan);
}

TEST_F(CoordinatorStory, WithoutAnyGatewayItIsReady) {
  store_.drop(api::Kind::kTunnelGateway, {"", "gateway-0"});
  store_.drop(api::Kind::kTunnelGateway, {"", "gateway-1"});
  store_.drop(api::Kind::kSecret, {"causeway-system", "causeway-overlay-key"});
  start();
  EXPECT_TRUE(coordinator_->not_ready().empty());
  EXPECT_EQ(route_type(), netlink::RouteType::kUnreachable);
}

TEST_F(CoordinatorStory, WithoutAKeyItSaysSoAndGoesOnWhenItComes) {
  store_.drop(api::Kind::kSecret, {"causeway-system", "causeway-overlay-key"});
  start();
  EXPECT_NE(coordinator_->not_ready().at(0).find("causeway-overlay-key"), std::string::npos);
  EXPECT_FALSE(kernel_.vxlan) << "no device with addresses that every host can compute";
  EXPECT_EQ(route_type(), netlink::RouteType::kUnreachable) << "no packet leaves meanwhile";
  EXPECT_EQ(sight_->opened, 0);
  put_overlay_key('k');
  loop_.advance(seconds(1));
  ASSERT_TRUE(kernel_.vxlan);
  EXPECT_EQ(kernel_.vxlan->vni, overlay_vni(kOverlayKey));
  kernel_event();
  EXPECT_EQ(sight_->opened, 1);
  EXPECT_EQ(coordinator_->not_ready().at(0).find("causeway-overlay-key"), std::string::npos);
}

TEST_F(CoordinatorStory, AChangedKeyIsTakenOverInPlace) {
  start();
  all_up();
  ASSERT_EQ(route_type(), netlink::RouteType::kUnicast);
  const auto before = *kernel_.vxlan;
  put_overlay_key('n');
  loop_.advance(seconds(1));
  EXPECT_NE(kernel_.vxlan->vni, before.vni);
  EXPECT_NE(kernel_.vxlan->mac, before.mac);
  EXPECT_EQ(route_type(), netlink::RouteType::kUnicast) << "the choice stays";
  kernel_event();
  EXPECT_GE(sight_->opened, 2) << "the old prober is bound to the device that is gone";
  EXPECT_NE(sight_->targets.at(gateway_target(0)).to.address, gateway_address(0));
}

TEST_F(CoordinatorStory, AKeyThatWentBadTakesNothingAway) {
  start();
  all_up();
  const auto before = *kernel_.vxlan;
  store_.drop(api::Kind::kSecret, {"causeway-system", "causeway-overlay-key"});
  loop_.advance(seconds(1));
  EXPECT_EQ(kernel_.vxlan, before);
  EXPECT_EQ(route_type(), netlink::RouteType::kUnicast);
  EXPECT_NE(coordinator_->not_ready().at(0).find("the last good key is used"), std::string::npos);
}

TEST_F(CoordinatorStory, WithoutAKeyTheDeviceOfAnEarlierRunIsLeftAlone) {
  start();
  all_up();
  const auto nft = kernel_.nft;
  const auto routes = kernel_.routes;
  store_.drop(api::Kind::kSecret, {"causeway-system", "causeway-overlay-key"});
  start();
  EXPECT_NE(coordinator_->not_ready().at(0).find("waiting for Secret"), std::string::npos);
  EXPECT_TRUE(kernel_.vxlan);
  EXPECT_EQ(kernel_.nft, nft);
  EXPECT_EQ(kernel_.routes, routes);
}

TEST_F(CoordinatorStory, ItsKeyIsInItsObjectFromTheStartAndComesBackWhenItIsRemoved) {
  start();
  const api::RouteAgent::Spec spec{"n3", node_key_.public_key().base64(),
                                   api::RouteAgent::Overlay{"1.0", "vxlan", 0}};
  const auto stored = [&] { return store_.must_get<api::RouteAgent>({"", "n3"}); };
  EXPECT_EQ(stored().spec, spec);
  store_.drop(api::Kind::kRouteAgent, {"", "n3"});
  all_up();
  EXPECT_EQ(stored().spec, spec) << "the next status finds no object";
  auto changed = stored();
  changed.spec.public_key = tunnel::Key::generate_private(random_).public_key().base64();
  store_.put(changed);
  sees(0, tunnel::LinkState::kDown, {});
  loop_.advance(seconds(3));
  EXPECT_EQ(stored().spec, spec) << "the next status finds another key";
  EXPECT_EQ(stored().status.gateways.at(0).state, "down");
}

// A CRD of an older version drops fields of the spec that it lacks.
TEST_F(CoordinatorStory, AnOlderSchemaOfItsObjectIsNoTrouble) {
  store_.set_schema([](api::Object& object) {
    if (object.kind == api::Kind::kRouteAgent) object.body["spec"].erase("overlay");
  });
  start();
  all_up();
  loop_.advance(seconds(5));
  EXPECT_FALSE(status().gateways.empty());
  (void)store_.take_log();
  sees(0, tunnel::LinkState::kDown, {});
  loop_.advance(seconds(30));
  EXPECT_EQ(status().gateways.at(0).state, "down");
  const auto log = store_.take_log();
  EXPECT_LE(std::count(log.begin(), log.end(), '\n'), 5) << log;
}

TEST_F(CoordinatorStory, UntilItsKeyIsPublishedItIsNotReady) {
  store_.refuse(api::Kind::kRouteAgent, Error{Errc::kDenied, "forbidden"});
  start();
  const auto says = [&] {
    const auto reasons = coordinator_->not_ready();
    return std::count(reasons.begin(), reasons.end(),
                      "waiting to publish this node's key in RouteAgent n3: forbidden");
  };
  EXPECT_EQ(says(), 1);
  store_.refuse(api::Kind::kRouteAgent, {});
  loop_.advance(seconds(10));
  EXPECT_EQ(says(), 0);
}

TEST_F(CoordinatorStory, WithPlainVxlanThereIsNoTunnelBetweenNodes) {
  publish_key(1);
  start();
  EXPECT_EQ(hop_, nullptr);
  EXPECT_EQ(kernel_.links.count("cw-nd"), 0U);
}

TEST_F(CoordinatorStory, WithWireguardThePeersFollowThePublishedKeys) {
  config_.overlay = OverlayMode::kWireguard;
  const auto first = publish_key(1);
  start();
  ASSERT_NE(hop_, nullptr);
  EXPECT_EQ(hop_->device().public_key, node_key_.public_key());
  EXPECT_EQ(hop_->device().listen_port, 4794);
  EXPECT_EQ(hop_->device().peers.size(), 1U);
  EXPECT_EQ(kernel_.vxlan->local, hop_address(node_key_.public_key()));
  const std::string left =
      "node n2 has published no key for overlay wireguard: no traffic "
      "passes between it and this node; run a route agent there";
  EXPECT_EQ(status().errors, std::vector<std::string>{left});
  const auto second = publish_key(2);
  loop_.advance(seconds(1));
  EXPECT_EQ(hop_->device().peers.count(second), 1U);
  EXPECT_EQ(kernel_.fdb.at(vtep_mac(kOverlayKey, ip("10.0.0.2"))), hop_address(second));
  store_.drop(api::Kind::kRouteAgent, {"", "n1"});
  loop_.advance(seconds(1));
  EXPECT_EQ(hop_->device().peers.count(first), 1U) << "a deleted object stops no traffic";
  store_.drop(api::Kind::kNode, {"", "n1"});
  store_.drop(api::Kind::kTunnelGateway, {"", "gateway-0"});
  loop_.advance(seconds(2));
  EXPECT_EQ(hop_->device().peers.count(first), 0U);
}

TEST_F(CoordinatorStory, SaysWhichOverlayItSpeaks) {
  start();
  const auto plain = store_.must_get<api::RouteAgent>({"", "n3"}).spec.overlay;
  EXPECT_EQ(plain, (api::RouteAgent::Overlay{"1.0", "vxlan", 0}));
  coordinator_.reset();
  config_.overlay = OverlayMode::kWireguard;
  config_.hop_port = 5000;
  start();
  const auto other = store_.must_get<api::RouteAgent>({"", "n3"}).spec.overlay;
  EXPECT_EQ(other, (api::RouteAgent::Overlay{"1.0", "wireguard", 5000}));
}

TEST_F(CoordinatorStory, ANodeOfAnotherMajorVersionIsLeftOutAndTheOneThatIsNewerByAMinorIsNot) {
  const auto mac = vtep_mac(kOverlayKey, ip("10.0.0.1"));
  publish_key(1, "1.7", "vxlan");
  start();
  all_up();
  EXPECT_EQ(kernel_.fdb.count(mac), 1U) << "nodes with other minor versions exchange frames";
  EXPECT_EQ(sight_->targets.count(gateway_target(0)), 1U);
  EXPECT_TRUE(status().errors.empty());
  publish_key(1, "2.0", "vxlan");
  loop_.advance(seconds(2));
  EXPECT_EQ(kernel_.fdb.count(mac), 0U);
  EXPECT_EQ(kernel_.neighbours.count(gateway_address(0)), 0U);
  EXPECT_EQ(kernel_.nft.at("causeway").find("10.0.0.1 . 0x"), std::string::npos);
  EXPECT_EQ(carrier(), gateway_address(1));
  EXPECT_EQ(sight_->targets.count(gateway_target(0)), 0U);
  const std::string words =
      "node n1 speaks overlay version 2.0, this node 1.0: no traffic passes "
      "between them; install the same release on both";
  EXPECT_EQ(status().errors, std::vector<std::string>{words});
  EXPECT_TRUE(coordinator_->not_ready().empty()) << "else an update would stop here";
  const auto told = status().conditions;
  const auto condition = api::find_condition(told, "OverlayAgrees");
  ASSERT_NE(condition, nullptr);
  EXPECT_EQ(condition->status, api::ConditionStatus::kFalse);
  EXPECT_EQ(condition->message, words);
  EXPECT_NE(metrics_.text().find("causeway_routeagent_overlay_left_out{node=\"n1\",ours=\"version "
                                 "1.0\",theirs=\"version 2.0\"} 1"),
            std::string::npos);
  publish_key(1, "1.0", "vxlan");
  loop_.advance(seconds(2));
  EXPECT_EQ(kernel_.fdb.count(mac), 1U);
  EXPECT_TRUE(status().errors.empty());
  EXPECT_EQ(metrics_.text().find("overlay_left_out{"), std::string::npos);
}

TEST_F(CoordinatorStory, AnotherSettingOfTheOverlayIsSaidOnBothSides) {
  publish_key(1, "1.0", "wireguard");
  start();
  EXPECT_EQ(
      status().errors,
      std::vector<std::string>{"node n1 has overlay wireguard, this node vxlan: no traffic passes "
                               "between them; set the same on both"});
  coordinator_.reset();
  publish_key(1, "1.0", "vxlan");
  publish_key(2);
  config_.overlay = OverlayMode::kWireguard;
  start();
  EXPECT_EQ(
      status().errors,
      std::vector<std::string>{"node n1 has overlay vxlan, this node wireguard: no traffic passes "
                               "between them; set the same on both"});
}

TEST_F(CoordinatorStory, AWorkerHearsOfGatewayNodesOnlyAndAGatewayNodeOfAll) {
  put_node(4);
  publish_key(4, "2.0", "vxlan");
  start();
  EXPECT_TRUE(status().errors.empty()) << "workers exchange nothing";
  coordinator_.reset();
  start("n1");
  const auto errors = status().errors;
  EXPECT_EQ(std::count_if(errors.begin(), errors.end(),
                          [](const auto& error) {
                            return error.find("node n4 speaks overlay version 2.0") == 0;
                          }),
            1);
}

TEST_F(CoordinatorStory, ATakenPortIsToldAndTriedAgain) {
  sight_->refuse = true;
  start();
  EXPECT_NE(coordinator_->not_ready().at(0).find("4796"), std::string::npos);
  sight_->refuse = false;
  loop_.advance(minutes(1));
  EXPECT_EQ(sight_->opened, 1);
}

TEST_F(CoordinatorStory, ADeviceMadeAgainKeepsTheChoiceWhileProbesStartOver) {
  start();
  all_up();
  const auto before = carrier();
  kernel_.drop_link("cw-vx");
  sight_->views.clear();
  kernel_.notify();
  loop_.advance(milliseconds(500));
  kernel_.notify();
  loop_.advance(milliseconds(500));
  EXPECT_EQ(sight_->opened, 2);
  EXPECT_EQ(carrier(), before);
  EXPECT_EQ(route_type(), netlink::RouteType::kUnicast);
}

TEST_F(CoordinatorStory, DriftIsRepairedOnTheKernelsEvent) {
  start();
  all_up();
  loop_.advance(seconds(5));
  kernel_.rules.clear();
  kernel_.notify();
  loop_.advance(milliseconds(25));
  EXPECT_EQ(kernel_.rules.size(), 7U) << "a table and a bypass a family, and one closed prefix";
  const auto told = events();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0]["reason"], "Restored");
  EXPECT_EQ(told[0]["involvedObject"]["name"], "n3");
  const auto message = told[0]["message"].get<std::string>();
  EXPECT_NE(message.find("rules"), std::string::npos) << message;
}

TEST_F(CoordinatorStory, SaysWhatAnotherProgramIsSetTo) {
  start();
  all_up();
  EXPECT_EQ(pod_network().status, api::ConditionStatus::kTrue);
  kernel_.base_chains = {
      {"ip", "filter", "FORWARD", netlink::BaseChain::Hook::kForward, 0, true, false}};
  auto said = pod_network();
  EXPECT_EQ(said.status, api::ConditionStatus::kUnknown);
  EXPECT_EQ(said.reason, "FilterMayDrop");
  EXPECT_NE(said.message.find("chain FORWARD"), std::string::npos) << said.message;
  store_.put_body(api::Kind::kConfigMap, {"kube-system", "cilium-config"},
                  {{"metadata", {{"name", "cilium-config"}, {"namespace", "kube-system"}}},
                   {"data", {{"enable-bpf-masquerade", "true"}}}});
  said = pod_network();
  EXPECT_EQ(said.status, api::ConditionStatus::kFalse);
  EXPECT_EQ(said.reason, "SettingInTheWay");
  EXPECT_NE(said.message.find("10.2.0.0/16"), std::string::npos) << said.message;
  EXPECT_TRUE(coordinator_->not_ready().empty()) << "the node may be wrong about the effect";
}

TEST_F(CoordinatorStory, AndAtTheResyncWithoutAnEvent) {
  start();
  all_up();
  kernel_.routes.clear();
  loop_.advance(seconds(61));
  EXPECT_EQ(kernel_.routes.size(), 1U);
}

TEST_F(CoordinatorStory, FailuresAreReportedAndRetried) {
  start();
  all_up();
  std::erase_if(kernel_.rules, [](const auto& rule) { return rule.table != 0; });
  kernel_.fail_at = kernel_.changes;
  kernel_.notify();
  loop_.advance(milliseconds(300));
  EXPECT_NE(coordinator_->not_ready().at(0).find("netlink: EIO"), std::string::npos);
  loop_.advance(seconds(3));
  EXPECT_TRUE(coordinator_->not_ready().empty());
  EXPECT_EQ(kernel_.rules.size(), 7U);
  EXPECT_TRUE(status().errors.empty());
}

TEST_F(CoordinatorStory, AnUnpairedClusterLeavesTheKernel) {
  start();
  all_up();
  store_.drop(api::Kind::kClusterPeer, {"", "west"});
  loop_.advance(seconds(1));
  EXPECT_TRUE(kernel_.routes.empty());
  EXPECT_TRUE(kernel_.nexthops.empty());
}

// The agent goes on under its first id, so a remote cluster with the new one is still a remote one.
TEST_F(CoordinatorStory, AChangedClusterIdTakesNoRemoteClusterAway) {
  start();
  all_up();
  auto id = store_.must_get<api::ClusterProperty>({"", std::string(api::kClusterIdProperty)});
  id.value = "west";
  store_.put(id);
  loop_.advance(seconds(2));
  EXPECT_EQ(kernel_.routes.count({7487, net("10.2.0.0/16"), 0}), 1U);
}

// A stolen gateway token can write the ClusterPeer's status, and only the status.
TEST_F(CoordinatorStory, RoutesOnlyWhatTheAdministratorAllows) {
  auto peer = store_.must_get<api::ClusterPeer>({"", "west"});
  peer.status.cidrs = {net("10.2.0.0/16"), net("8.8.8.8/32"), net("10.0.0.0/8")};
  store_.put(peer);
  start();
  std::set<Prefix> routed;
  for (const auto& [id, route] : kernel_.routes) {
    if (std::get<0>(id) == 7487) routed.insert(route.dst);
  }
  EXPECT_EQ(routed, std::set<Prefix>{net("10.2.0.0/16")});
}

TEST_F(CoordinatorStory, RoutesNothingThatTheHostReachesWithoutUs) {
  put_peer("west", {net("10.2.0.0/16"), net("203.0.113.0/24"), net("198.51.100.0/24")});
  kernel_.foreign_routes = {{net("203.0.113.0/25")}, {ip("198.51.100.1")}};
  start();
  EXPECT_EQ(route_type(), netlink::RouteType::kUnreachable);
  EXPECT_EQ(kernel_.routes.count({7487, net("203.0.113.0/24"), 0}), 0U);
  EXPECT_EQ(kernel_.routes.count({7487, net("198.51.100.0/24"), 0}), 0U);
  for (const auto& rule : kernel_.rules) {
    if (!rule.unreachable) continue;
    EXPECT_FALSE(rule.to->contains(ip("198.51.100.1"))) << "its router is held back";
    EXPECT_FALSE(rule.to->overlaps(net("203.0.113.0/25")));
  }
}

TEST_F(CoordinatorStory, AnIdleNodeWritesNothing) {
  start();
  all_up();
  loop_.advance(seconds(5));
  (void)store_.take_log();  // only later writes count
  const auto changes = kernel_.changes;
  for (int i = 0; i < 10; ++i) {
    sight_->views[gateway_target(0)].rtt += milliseconds(0) + std::chrono::microseconds(i);
    loop_.advance(minutes(1));
  }
  EXPECT_EQ(store_.take_log(), "");
  EXPECT_EQ(kernel_.changes, changes);
}

TEST_F(CoordinatorStory, StatusIsWrittenAtMostOncePerSecond) {
  start();
  all_up();
  loop_.advance(seconds(5));
  (void)store_.take_log();  // only later writes count
  for (int i = 0; i < 20; ++i) {
    sees(0, i % 2 == 0 ? tunnel::LinkState::kDown : tunnel::LinkState::kUp, {"west"});
    loop_.advance(milliseconds(100));
  }
  loop_.advance(seconds(2));
  const auto log = store_.take_log();
  EXPECT_LE(std::count(log.begin(), log.end(), '\n'), 4) << log;
  EXPECT_EQ(status().gateways[0].state, "up") << "and the last state stands";
}

TEST(TellsMore, IgnoresNoiseInMeasurements) {
  api::RouteAgent::Status a;
  a.gateways = {{0, "up", 0.3, 0}};
  auto b = a;
  b.gateways[0].rtt_ms = 0.9;
  EXPECT_FALSE(tells_more(a, b));
  b.gateways[0].rtt_ms = 40;
  EXPECT_TRUE(tells_more(a, b));
  b = a;
  b.gateways[0].loss = 0.2;
  EXPECT_TRUE(tells_more(a, b));
  b = a;
  b.gateways[0].state = "down";
  EXPECT_TRUE(tells_more(a, b));
}

}  // namespace
}  // namespace cw::routeagent
