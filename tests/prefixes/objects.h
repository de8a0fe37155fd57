// Objects of pod networks as the real products write them, as JSON.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "api/types/codec.h"
#include "prefixes/pod_network.h"

namespace cw::prefixes {

// Adds the object that `text` describes.
template <typename T>
void put(Items<T>& items, std::string_view text) {
  auto object = api::decode<T>(nlohmann::json::parse(text));
  ASSERT_TRUE(object) << object.error().text;
  const auto key = object->meta.key;
  items[key] = std::make_shared<const T>(std::move(*object));
}

inline void put_node(Objects& objects, const std::string& name, std::vector<std::string> cidrs = {},
                     const nlohmann::json& annotations = nlohmann::json::object()) {
  nlohmann::json body{{"metadata", {{"name", name}, {"annotations", annotations}}}};
  body["metadata"]["labels"] = {{"kubernetes.io/hostname", name}, {"rack", "7"}};
  if (!cidrs.empty()) body["spec"]["podCIDRs"] = cidrs;
  put(objects.nodes, body.dump());
}

// As Calico v3.28 wrote it to an API server: `deleted` is a string and `type` is missing.
inline std::string calico_v1(const std::string& node, const std::string& cidr,
                             const std::string& state = "confirmed",
                             const std::string& deleted = "false") {
  return nlohmann::json{
      {"apiVersion", "crd.projectcalico.org/v1"},
      {"kind", "BlockAffinity"},
      {"metadata", {{"name", node + "-" + cidr}}},
      {"spec", {{"cidr", cidr}, {"deleted", deleted}, {"node", node}, {"state", state}}}}
      .dump();
}

// In projectcalico.org/v3, `deleted` is a boolean.
inline std::string calico_v3(const std::string& node, const std::string& cidr,
                             const std::string& type = "host", bool deleted = false) {
  return nlohmann::json{{"apiVersion", "projectcalico.org/v3"},
                        {"kind", "BlockAffinity"},
                        {"metadata", {{"name", node + "-" + cidr}}},
                        {"spec",
                         {{"cidr", cidr},
                          {"deleted", deleted},
                          {"node", node},
                          {"state", "confirmed"},
                          {"type", type}}}}
      .dump();
}

// An IPAMBlock as Calico v3.28 wrote it, with a tunnel address of its own node, free addresses, and
// one address for each of `borrowers` from the tenth on.
inline nlohmann::json calico_ipam_block(const std::string& host, const std::string& cidr,
                                        const std::vector<std::string>& borrowers = {}) {
  auto allocations = nlohmann::json::array();
  for (int n = 0; n < 64; ++n) allocations.push_back(nullptr);
  allocations[0] = 0;
  nlohmann::json attributes{{{"handle_id", "vxlan-tunnel-addr-" + host},
                             {"secondary", {{"node", host}, {"type", "vxlanTunnelAddress"}}}}};
  for (std::size_t n = 0; n < borrowers.size(); ++n) {
    allocations[10 + n] = attributes.size();
    attributes.push_back(
        {{"handle_id", "k8s-pod-network.1"},
         {"secondary", {{"namespace", "demo"}, {"node", borrowers[n]}, {"pod", "p"}}}});
  }
  return {{"apiVersion", "crd.projectcalico.org/v1"},
          {"kind", "IPAMBlock"},
          {"metadata", {{"name", "block-" + host}}},
          {"spec",
           {{"affinity", "host:" + host},
            {"allocations", allocations},
            {"attributes", attributes},
            {"cidr", cidr},
            {"deleted", false},
            {"strictAffinity", false}}}};
}

inline std::vector<std::string> texts_of(const std::vector<Prefix>& prefixes) {
  std::vector<std::string> all;
  for (const auto& prefix : prefixes) all.push_back(prefix.to_string());
  return all;
}

// "n1 10.0.0.0/24 fd00::/64; n2 ..."
inline std::string text_of(const NodePrefixes& nodes) {
  std::string all;
  for (const auto& [name, prefixes] : nodes) {
    if (!all.empty()) all += "; ";
    all += name;
    for (const auto& prefix : prefixes) all += " " + prefix.to_string();
  }
  return all;
}

}  // namespace cw::prefixes
