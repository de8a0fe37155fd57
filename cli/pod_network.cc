#include "cli/pod_network.h"

#include <algorithm>

namespace cw::cli {

namespace {

// Adds the objects of a kind. `good` keeps the first error.
template <typename T>
void read_all(Session& session, prefixes::Items<T>& items, Result<>& good,
              const std::string& name = {}) {
  if (!good) return;
  auto found = session.list<T>(name);
  if (!found) {
    if (found.error().code != Errc::kNotFound) good = fail(std::move(found.error()));
    return;
  }
  for (auto& object : *found) {
    const auto key = object.meta.key;
    items[key] = std::make_shared<const T>(std::move(object));
  }
}

Result<prefixes::Settings> read_settings(Session& session) {
  prefixes::Items<api::ConfigMapObject> found;
  Result<> good;
  read_all(session, found, good, std::string(prefixes::kSettingsName));
  if (!good) return fail(std::move(good.error()));
  if (found.empty()) return prefixes::Settings();
  return prefixes::parse_settings(*found.begin()->second);
}

// Calico's rules decide whether there can be any: the blocks are many and large.
Result<> read_borrowed(Session& session, prefixes::Borrowed& borrowed) {
  prefixes::Items<api::CalicoIpamConfigV1> config_v1;
  prefixes::Items<api::CalicoIpamConfigV3> config_v3;
  prefixes::Items<api::CalicoIpamBlockV1> blocks_v1;
  prefixes::Items<api::CalicoIpamBlockV3> blocks_v3;
  Result<> good;
  read_all(session, config_v1, good);
  read_all(session, config_v3, good);
  const auto strict = [](const auto& one) { return one.second->strict_affinity; };
  if (!good || std::any_of(config_v1.begin(), config_v1.end(), strict) ||
      std::any_of(config_v3.begin(), config_v3.end(), strict)) {
    return good;
  }
  read_all(session, blocks_v1, good);
  read_all(session, blocks_v3, good);
  prefixes::append_borrowed(borrowed, blocks_v1);
  prefixes::append_borrowed(borrowed, blocks_v3);
  return good;
}

}  // namespace

Result<prefixes::Objects> pod_network_objects(Session& session) {
  prefixes::Objects objects;
  Result<> good;
  read_all(session, objects.nodes, good);
  read_all(session, objects.blocks_v1, good);
  read_all(session, objects.blocks_v3, good);
  read_all(session, objects.pools_v1, good);
  read_all(session, objects.pools_v3, good);
  read_all(session, objects.cilium_nodes, good);
  read_all(session, objects.azure, good);
  read_all(session, objects.openshift, good);
  if (auto lent = read_borrowed(session, objects.borrowed); !lent) good = std::move(lent);
  if (!good) return fail(std::move(good.error()));
  for (const auto& key : prefixes::range_config_maps()) {
    auto found = session.get<api::ConfigMapObject>(key);
    if (!found && found.error().code != Errc::kDenied) return fail(std::move(found.error()));
    if (found && *found) {
      objects.config_maps[key] = std::make_shared<const api::ConfigMapObject>(std::move(**found));
    }
  }
  auto settings = read_settings(session);
  if (!settings) return fail(std::move(settings.error()));
  objects.settings = std::move(*settings);
  return objects;
}

}  // namespace cw::cli
