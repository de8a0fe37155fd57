// Objects of other pod networks, as any program with rights in the cluster may write them: the
// first byte chooses the kind, the rest is the object in JSON.
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "api/types/codec.h"
#include "base/error.h"
#include "prefixes/obstacles.h"
#include "prefixes/pod_network.h"

namespace {

using cw::prefixes::Items;
using cw::prefixes::Objects;

template <typename T>
void put(Items<T>& items, const nlohmann::json& body) {
  auto object = cw::api::decode<T>(body);
  if (!object) return;
  const auto key = object->meta.key;
  items[key] = std::make_shared<const T>(std::move(*object));
}

void put_settings(Objects& objects, const nlohmann::json& body) {
  const auto map = cw::api::decode<cw::api::ConfigMapObject>(body);
  if (!map) return;
  if (auto settings = cw::prefixes::parse_settings(*map)) objects.settings = std::move(*settings);
}

void put_ipam_block(Objects& objects, const nlohmann::json& body) {
  Items<cw::api::CalicoIpamBlockV1> blocks;
  put(blocks, body);
  for (const auto& [key, block] : blocks) {
    for (const auto& borrowed : block->borrowed) {
      CW_CHECK(block->cidr.contains(borrowed.address));
      CW_CHECK(borrowed.node != block->host);
    }
  }
  cw::prefixes::append_borrowed(objects.borrowed, blocks);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const auto body = nlohmann::json::parse(data + 1, data + size, nullptr, false);
  if (body.is_discarded()) return 0;
  Objects objects;
  put(objects.nodes, body);  // so that a node of the same name exists
  switch (data[0] % 9) {
    case 0:
      put_settings(objects, body);
      break;
    case 1:
      put(objects.blocks_v1, body);
      break;
    case 2:
      put(objects.blocks_v3, body);
      break;
    case 3:
      put(objects.pools_v1, body);
      break;
    case 4:
      put(objects.cilium_nodes, body);
      break;
    case 5:
      put(objects.azure, body);
      break;
    case 6:
      put(objects.openshift, body);
      break;
    case 7:
      put(objects.config_maps, body);
      break;
    default:
      put_ipam_block(objects, body);
      break;
  }
  const auto network = cw::prefixes::pod_network(objects);
  for (const auto& [node, prefixes] : network.nodes) CW_CHECK(!prefixes.empty());
  (void)cw::prefixes::ranges_of(objects);
  (void)cw::prefixes::sources_of("n1", objects);
  const std::vector remotes{*cw::Prefix::parse("10.42.0.0/16"), *cw::Prefix::parse("fd42::/48")};
  for (const auto& [key, node] : objects.nodes) (void)cw::prefixes::ovn_obstacles(*node);
  for (const auto& [key, map] : objects.config_maps) {
    (void)cw::prefixes::cilium_obstacles(*map, remotes);
  }
  return 0;
}
