#include "prefixes/late_watches.h"

#include <fmt/format.h>

#include <algorithm>

namespace cw::prefixes {

namespace {

template <typename Informer>
bool settled(const Informer& informer) {
  return informer.synced() || !informer.last_error().empty();
}

template <typename Informer>
std::string trouble_of(const Informer& informer, const char* kind) {
  if (informer.last_error().empty()) return {};
  return fmt::format("{} cannot be read: {}", kind, informer.last_error());
}

template <typename T>
void only_identity(T& object) {
  object.meta.uid = {};
  object.meta.labels.clear();
  object.meta.annotations.clear();
}

template <typename Items>
bool any_strict(const Items& items) {
  return std::any_of(items.begin(), items.end(),
                     [](const auto& one) { return one.second->strict_affinity; });
}

}  // namespace

struct BorrowWatch::Blocks {
  Blocks(const WatchPlace& place, const std::function<void()>& on_change)
      : v1(place.loop, place.store, place.random, on_change),
        v3(place.loop, place.store, place.random, on_change) {
    v1.set_optional();
    v3.set_optional();
    v1.set_trim([](auto& block) { only_identity(block); });
    v3.set_trim([](auto& block) { only_identity(block); });
  }
  api::Informer<api::CalicoIpamBlockV1> v1;
  api::Informer<api::CalicoIpamBlockV3> v3;
};

BorrowWatch::BorrowWatch(const WatchPlace& place)
    : place_(place),
      config_v1_(place.loop, place.store, place.random, [this] { receive_config(); }),
      config_v3_(place.loop, place.store, place.random, [this] { receive_config(); }) {
  config_v1_.set_optional();
  config_v3_.set_optional();
}

bool BorrowWatch::strict() const {
  return any_strict(config_v1_.items()) || any_strict(config_v3_.items());
}

void BorrowWatch::receive_config() {
  const bool known = prefixes::settled(config_v1_) && prefixes::settled(config_v3_);
  if (known && strict()) {
    blocks_.reset();
  } else if (known && blocks_ == nullptr) {
    blocks_ = std::make_shared<Blocks>(place_, [this] { receive_blocks(); });
  }
  borrowed_.clear();
  receive_blocks();
  place_.on_change();
}

void BorrowWatch::receive_blocks() {
  Borrowed now;
  if (blocks_ != nullptr) {
    append_borrowed(now, blocks_->v1.items());
    append_borrowed(now, blocks_->v3.items());
  }
  const bool news = now != borrowed_ || !settled();
  borrowed_ = std::move(now);
  if (news) place_.on_change();
}

bool BorrowWatch::settled() const {
  if (!prefixes::settled(config_v1_) || !prefixes::settled(config_v3_)) return false;
  return blocks_ == nullptr || (prefixes::settled(blocks_->v1) && prefixes::settled(blocks_->v3));
}

std::string BorrowWatch::trouble() const {
  if (blocks_ == nullptr) return {};
  auto text = trouble_of(blocks_->v1, "IPAMBlocks (Calico)");
  return text.empty() ? trouble_of(blocks_->v3, "IPAMBlocks (Calico)") : text;
}

RangeWatch::RangeWatch(const WatchPlace& place)
    : pools_v1_(place.loop, place.store, place.random, place.on_change),
      pools_v3_(place.loop, place.store, place.random, place.on_change),
      openshift_(place.loop, place.store, place.random, place.on_change) {
  pools_v1_.set_optional();
  pools_v3_.set_optional();
  openshift_.set_optional();
  for (const auto& [ns, name] : range_config_maps()) {
    config_maps_.push_back(std::make_unique<api::Informer<api::ConfigMapObject>>(
        place.loop, place.store, place.random, place.on_change, ns, name));
  }
}

template <typename Use>
void RangeWatch::each(const Use& use) const {
  use(pools_v1_, "IPPools (Calico)");
  use(pools_v3_, "IPPools (Calico)");
  use(openshift_, "Network cluster (OpenShift)");
  for (const auto& informer : config_maps_) use(*informer, "ConfigMaps of pod networks");
}

bool RangeWatch::settled() const {
  bool all = true;
  each([&](const auto& informer, const char*) { all = all && prefixes::settled(informer); });
  return all;
}

std::string RangeWatch::trouble() const {
  std::string text;
  each([&](const auto& informer, const char* kind) {
    if (text.empty()) text = trouble_of(informer, kind);
  });
  return text;
}

void RangeWatch::add_to(Objects& objects) const {
  objects.pools_v1 = pools_v1_.items();
  objects.pools_v3 = pools_v3_.items();
  objects.openshift = openshift_.items();
  for (const auto& informer : config_maps_) {
    objects.config_maps.insert(informer->items().begin(), informer->items().end());
  }
}

}  // namespace cw::prefixes
