// Codecs of the kinds in which pod networks keep prefixes.
#include "api/types/cni_kinds.h"

#include "api/types/object_codec.h"

namespace cw::api {

static void fields(JsonFields& f, ConfigMapObject& object) { f.optional("data", object.data); }
template Result<ConfigMapObject> decode(const nlohmann::json& body);
template nlohmann::json encode(const ConfigMapObject& object);

static void block_fields(JsonFields& spec, CalicoBlock& block) {
  spec.required("cidr", block.cidr);
  spec.required("node", block.node);
  spec.optional("state", block.state);
  spec.optional("type", block.type);
}

static void fields(JsonFields& f, CalicoBlockV1& block) {
  f.want(f.has("spec"), "spec", "is missing");
  f.object("spec", [&](JsonFields& spec) {
    block_fields(spec, block);
    std::string deleted = block.deleted ? "true" : "false";
    spec.always("deleted", deleted);
    block.deleted = deleted == "true";
  });
}
template Result<CalicoBlockV1> decode(const nlohmann::json& body);
template nlohmann::json encode(const CalicoBlockV1& object);

static void fields(JsonFields& f, CalicoBlockV3& block) {
  f.want(f.has("spec"), "spec", "is missing");
  f.object("spec", [&](JsonFields& spec) {
    block_fields(spec, block);
    spec.always("deleted", block.deleted);
  });
}
template Result<CalicoBlockV3> decode(const nlohmann::json& body);
template nlohmann::json encode(const CalicoBlockV3& object);

static void pool_fields(JsonFields& f, CalicoPool& pool) {
  f.want(f.has("spec"), "spec", "is missing");
  f.object("spec", [&](JsonFields& spec) {
    spec.required("cidr", pool.cidr);
    spec.optional("disabled", pool.disabled);
    spec.optional("allowedUses", pool.allowed_uses);
  });
}

static void fields(JsonFields& f, CalicoPoolV1& pool) { pool_fields(f, pool); }
template Result<CalicoPoolV1> decode(const nlohmann::json& body);
template nlohmann::json encode(const CalicoPoolV1& object);

static void fields(JsonFields& f, CalicoPoolV3& pool) { pool_fields(f, pool); }
template Result<CalicoPoolV3> decode(const nlohmann::json& body);
template nlohmann::json encode(const CalicoPoolV3& object);

// One of several items of an object that each have prefixes.
struct PrefixList {
  std::vector<Prefix> cidrs;
  friend bool operator==(const PrefixList&, const PrefixList&) = default;
};
static void fields(JsonFields& f, PrefixList& list) { f.optional("cidrs", list.cidrs); }

static void fields(JsonFields& f, CiliumNode& node) {
  f.object("spec", [&](JsonFields& spec) {
    spec.object("ipam", [&](JsonFields& ipam) {
      ipam.optional("podCIDRs", node.pod_cidrs);
      ipam.object("pools", [&](JsonFields& pools) {
        std::vector<PrefixList> allocated;
        if (!node.pools.empty()) allocated.push_back({node.pools});
        pools.optional("allocated", allocated);
        node.pools.clear();
        for (const auto& [cidrs] : allocated) {
          node.pools.insert(node.pools.end(), cidrs.begin(), cidrs.end());
        }
      });
      if (ipam.reading()) node.single_addresses = ipam.has("pool");
    });
  });
}
template Result<CiliumNode> decode(const nlohmann::json& body);
template nlohmann::json encode(const CiliumNode& object);

struct IpAssignment {
  std::string ip;
  friend bool operator==(const IpAssignment&, const IpAssignment&) = default;
};
static void fields(JsonFields& f, IpAssignment& assignment) { f.optional("ip", assignment.ip); }

struct NetworkContainer {
  std::string type;
  std::string primary;
  std::vector<IpAssignment> assignments;
  friend bool operator==(const NetworkContainer&, const NetworkContainer&) = default;
};
static void fields(JsonFields& f, NetworkContainer& container) {
  f.optional("type", container.type);
  f.optional("primaryIP", container.primary);
  f.optional("ipAssignments", container.assignments);
}

// A container without a type gives single addresses to pods.
static bool is_single(const NetworkContainer& container) {
  return container.type != "overlay" && container.type != "vnetblock" &&
         !container.assignments.empty();
}

// `primaryIP` is a prefix in an overlay. `ipAssignments` are prefixes in a block mode. In the other
// modes both are single addresses, and these are left out.
static void append_prefixes(const NetworkContainer& container, std::vector<Prefix>& into) {
  const auto append = [&](const std::string& text) {
    if (const auto prefix = Prefix::parse(text)) into.push_back(*prefix);
  };
  if (container.type == "overlay") append(container.primary);
  if (container.type != "vnetblock") return;
  for (const auto& assignment : container.assignments) append(assignment.ip);
}

static void fields(JsonFields& f, NodeNetworkConfig& config) {
  f.object("status", [&](JsonFields& status) {
    std::vector<NetworkContainer> containers;
    for (const auto& prefix : config.prefixes) {
      containers.push_back({"overlay", prefix.to_string(), {}});
    }
    status.optional("networkContainers", containers);
    config.prefixes.clear();
    for (const auto& container : containers) {
      append_prefixes(container, config.prefixes);
      if (status.reading()) {
        config.single_addresses = config.single_addresses || is_single(container);
      }
    }
  });
}
template Result<NodeNetworkConfig> decode(const nlohmann::json& body);
template nlohmann::json encode(const NodeNetworkConfig& object);

struct ClusterNetwork {
  Prefix cidr;
  friend bool operator==(const ClusterNetwork&, const ClusterNetwork&) = default;
};
static void fields(JsonFields& f, ClusterNetwork& network) { f.required("cidr", network.cidr); }

static void fields(JsonFields& f, OpenShiftNetwork& network) {
  f.object("status", [&](JsonFields& status) {
    std::vector<ClusterNetwork> pods;
    for (const auto& prefix : network.pods) pods.push_back({prefix});
    status.optional("clusterNetwork", pods);
    network.pods.clear();
    for (const auto& [cidr] : pods) network.pods.push_back(cidr);
    status.optional("serviceNetwork", network.services);
  });
}
template Result<OpenShiftNetwork> decode(const nlohmann::json& body);
template nlohmann::json encode(const OpenShiftNetwork& object);

}  // namespace cw::api
