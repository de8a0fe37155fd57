#include "gateway/own_endpoints.h"

#include <gtest/gtest.h>

#include "tests/gateway/scene.h"

namespace cw::gateway {
namespace {

Config gateway_config() {
  Config config;
  config.ns = "causeway-system";
  config.node = "n0";
  return config;
}

api::Node some_node() {
  api::Node node;
  node.internal_ips = {ip("10.0.0.1"), ip("fd00::1")};
  node.external_ips = {ip("203.0.113.1")};
  return node;
}

api::Service some_service(const std::string& type) {
  api::Service service;
  service.spec.type = type;
  service.spec.ports = {{"health", "TCP", "", 9801, ""}, {"tunnel", "UDP", "", 4510, "4500"}};
  return service;
}

std::string endpoint_texts(const OwnEndpoints& own) {
  std::vector<std::string> all;
  all.reserve(own.endpoints.size());
  for (const auto& contact : own.endpoints) all.push_back(contact.to_string());
  return fmt::format("{}", fmt::join(all, " "));
}

TEST(OwnEndpoints, AreThoseOfTheNodeByDefaultAndFollowIt) {
  auto at_home = some_node();
  const auto own = own_endpoints(gateway_config(), &at_home, nullptr);
  EXPECT_EQ(endpoint_texts(own), "10.0.0.1:4500 [fd00::1]:4500 203.0.113.1:4500");
  EXPECT_EQ(own.condition.status, api::ConditionStatus::kTrue);
  EXPECT_EQ(own.condition.reason, "Node");
  at_home.internal_ips = {ip("10.0.0.2")};
  EXPECT_EQ(endpoint_texts(own_endpoints(gateway_config(), &at_home, nullptr)),
            "10.0.0.2:4500 203.0.113.1:4500");
  EXPECT_EQ(own_endpoints(gateway_config(), nullptr, nullptr).condition.reason, "NoAddress");
}

TEST(OwnEndpoints, ConfiguredOnesReplaceThoseOfTheNode) {
  auto own = gateway_config();
  own.endpoints = {*Contact::parse("gw0.example.com:4500")};
  const auto at_home = some_node();
  const auto found = own_endpoints(own, &at_home, nullptr);
  EXPECT_EQ(endpoint_texts(found), "gw0.example.com:4500");
  EXPECT_EQ(found.condition.reason, "Configured");
}

TEST(OwnEndpoints, OfALoadBalancerAreItsAddressAndNameWithThePortOfTheService) {
  auto own = gateway_config();
  own.service = "gw-0";
  auto balancer = some_service("LoadBalancer");
  const auto at_home = some_node();
  const auto pending = own_endpoints(own, &at_home, &balancer);
  EXPECT_EQ(endpoint_texts(pending), "") << "the node's addresses are not reachable from outside";
  EXPECT_EQ(pending.condition.status, api::ConditionStatus::kFalse);
  EXPECT_EQ(pending.condition.reason, "ServicePending");
  balancer.ingress = {{"203.0.113.9", ""}, {"2001:db8::9", ""}, {"", "lb.example.com"}, {"", "lb"}};
  const auto found = own_endpoints(own, &at_home, &balancer);
  EXPECT_EQ(endpoint_texts(found), "203.0.113.9:4510 [2001:db8::9]:4510 lb.example.com:4510");
  EXPECT_EQ(found.condition.status, api::ConditionStatus::kTrue);
  EXPECT_EQ(found.condition.reason, "Service");
  own.endpoints = {*Contact::parse("gw0.example.com:4500")};
  EXPECT_EQ(endpoint_texts(own_endpoints(own, &at_home, &balancer)),
            "gw0.example.com:4500 203.0.113.9:4510 [2001:db8::9]:4510 lb.example.com:4510");
}

TEST(OwnEndpoints, OfANodePortAreAtTheNodeAndExternalAddressesComeFirst) {
  auto own = gateway_config();
  own.service = "gw-0";
  auto port = some_service("NodePort");
  const auto at_home = some_node();
  EXPECT_EQ(own_endpoints(own, &at_home, &port).condition.reason, "ServicePending");
  port.spec.node_ports = {0, 31000};
  EXPECT_EQ(endpoint_texts(own_endpoints(own, &at_home, &port)),
            "203.0.113.1:31000 10.0.0.1:31000 [fd00::1]:31000");
}

TEST(OwnEndpoints, AServiceThatCannotServeIsSaid) {
  auto own = gateway_config();
  own.service = "gw-0";
  const auto at_home = some_node();
  const auto missing = own_endpoints(own, &at_home, nullptr);
  EXPECT_EQ(missing.condition.reason, "ServiceMissing");
  EXPECT_NE(missing.condition.message.find("causeway-system/gw-0"), std::string::npos);
  auto other = some_service("ClusterIP");
  EXPECT_EQ(own_endpoints(own, &at_home, &other).condition.reason, "ServiceUnusable");
  other = some_service("LoadBalancer");
  other.spec.ports.pop_back();
  EXPECT_EQ(own_endpoints(own, &at_home, &other).condition.reason, "ServiceUnusable");
}

}  // namespace
}  // namespace cw::gateway
