// Codecs of Calico's IPAM objects. An IPAMBlock has 64 allocations or more, and each names a pod.
// They are read to the least that Causeway needs, because a cluster has thousands of blocks.
#include <algorithm>
#include <array>

#include "api/types/cni_kinds.h"
#include "api/types/object_codec.h"

namespace cw::api {

namespace {

using nlohmann::json;

constexpr std::string_view kHost = "host:";  // affinity "host:NODE"
constexpr unsigned kMostHostBits = 12;       // Calico's largest block is a /20

// The n-th address of a block.
IpAddress address_at(const Prefix& block, std::size_t n) {
  std::array<std::uint8_t, 16> bytes{};
  const auto base = block.address().bytes();
  std::copy(base.begin(), base.end(), bytes.begin());
  const auto last = base.size() - 1;
  bytes[last] = static_cast<std::uint8_t>(bytes[last] | (n & 0xffU));
  bytes[last - 1] = static_cast<std::uint8_t>(bytes[last - 1] | (n >> 8U));
  return *IpAddress::from_bytes({bytes.data(), last + 1});
}

// The node of each entry of `attributes`; empty: the entry names none.
std::vector<std::string> nodes_of(const json& attributes) {
  std::vector<std::string> nodes;
  if (!attributes.is_array() || attributes.size() > kMaxListItems) return nodes;
  nodes.reserve(attributes.size());
  for (const auto& attribute : attributes) {
    const auto secondary = attribute.is_object() ? attribute.find("secondary") : attribute.end();
    const bool named = secondary != attribute.end() && secondary->is_object() &&
                       secondary->contains("node") && (*secondary)["node"].is_string();
    nodes.push_back(named ? (*secondary)["node"].get<std::string>() : std::string());
  }
  return nodes;
}

// The n-th allocation is the index of its attributes, or null: the address is free.
void read_allocations(const json& allocations, const std::vector<std::string>& nodes,
                      CalicoIpamBlock& block) {
  const auto bits = block.cidr.address().bits() - block.cidr.length();
  if (!allocations.is_array() || bits > kMostHostBits) return;
  const auto size = std::min(allocations.size(), std::size_t{1} << bits);
  for (std::size_t n = 0; n < size; ++n) {
    if (!allocations[n].is_number_integer()) continue;
    const auto index = allocations[n].get<std::int64_t>();
    if (index < 0 || static_cast<std::uint64_t>(index) >= nodes.size()) continue;
    const auto& node = nodes[static_cast<std::size_t>(index)];
    if (node.empty() || node == block.host) continue;
    block.borrowed.push_back({address_at(block.cidr, n), node});
  }
}

void write_allocations(JsonFields& spec, const CalicoIpamBlock& block) {
  auto allocations = json::array();
  auto attributes = json::array();
  for (const auto& [address, node] : block.borrowed) {
    const auto bytes = address.bytes();
    const std::size_t n = (bytes[bytes.size() - 2] * 256U + bytes.back()) &
                          ((std::size_t{1} << (address.bits() - block.cidr.length())) - 1);
    while (allocations.size() <= n) allocations.push_back(nullptr);
    allocations[n] = attributes.size();
    attributes.push_back({{"secondary", {{"node", node}}}});
  }
  if (!attributes.empty()) {
    spec.put_raw("allocations", std::move(allocations));
    spec.put_raw("attributes", std::move(attributes));
  }
}

void ipam_fields(JsonFields& f, CalicoIpamBlock& block) {
  f.want(f.has("spec"), "spec", "is missing");
  f.object("spec", [&](JsonFields& spec) {
    spec.required("cidr", block.cidr);
    auto affinity = block.host.empty() ? std::string() : std::string(kHost) + block.host;
    spec.optional("affinity", affinity);
    block.host = affinity.rfind(kHost, 0) == 0 ? affinity.substr(kHost.size()) : std::string();
    if (!spec.reading()) return write_allocations(spec, block);
    const auto* attributes = spec.raw("attributes");
    const auto* allocations = spec.raw("allocations");
    if (attributes == nullptr || allocations == nullptr) return;
    read_allocations(*allocations, nodes_of(*attributes), block);
  });
}

void ipam_config_fields(JsonFields& f, CalicoIpamConfig& config) {
  f.object("spec",
           [&](JsonFields& spec) { spec.optional("strictAffinity", config.strict_affinity); });
}

}  // namespace

static void fields(JsonFields& f, CalicoIpamBlockV1& block) { ipam_fields(f, block); }
template Result<CalicoIpamBlockV1> decode(const json& body);
template json encode(const CalicoIpamBlockV1& object);

static void fields(JsonFields& f, CalicoIpamBlockV3& block) { ipam_fields(f, block); }
template Result<CalicoIpamBlockV3> decode(const json& body);
template json encode(const CalicoIpamBlockV3& object);

static void fields(JsonFields& f, CalicoIpamConfigV1& config) { ipam_config_fields(f, config); }
template Result<CalicoIpamConfigV1> decode(const json& body);
template json encode(const CalicoIpamConfigV1& object);

static void fields(JsonFields& f, CalicoIpamConfigV3& config) { ipam_config_fields(f, config); }
template Result<CalicoIpamConfigV3> decode(const json& body);
template json encode(const CalicoIpamConfigV3& object);

}  // namespace cw::api
