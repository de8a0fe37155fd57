#include "prefixes/watch.h"

#include <fmt/format.h>

#include <utility>

namespace cw::prefixes {

PodNetworkWatch::PodNetworkWatch(Loop& loop, api::Store& store, Random& random,
                                 const std::string& ns, std::function<void()> on_change,
                                 std::string own_node)
    : loop_(loop),
      store_(store),
      random_(random),
      on_change_(std::move(on_change)),
      own_node_(std::move(own_node)),
      nodes_(loop, store, random, [this] { record_change(); }),
      settings_(
          loop, store, random, [this] { record_change(); }, ns, std::string(kSettingsName)),
      blocks_v1_(loop, store, random, [this] { record_change(); }),
      blocks_v3_(loop, store, random, [this] { record_change(); }),
      cilium_nodes_(loop, store, random, [this] { record_change(); }),
      azure_(loop, store, random, [this] { record_change(); }) {
  blocks_v1_.set_optional();
  blocks_v3_.set_optional();
  cilium_nodes_.set_optional();
  azure_.set_optional();
}

template <typename Use>
void PodNetworkWatch::each(const Use& use) const {
  use(nodes_, "Node");
  use(settings_, "ConfigMap");
  use(blocks_v1_, "BlockAffinity (crd.projectcalico.org)");
  use(blocks_v3_, "BlockAffinity (projectcalico.org)");
  use(cilium_nodes_, "CiliumNode");
  use(azure_, "NodeNetworkConfig");
}

Result<> PodNetworkWatch::synced() const {
  Result<> good;
  each([&](const auto& informer, const char* kind) {
    if (informer.synced() || !good) return;
    const auto& why = informer.last_error();
    good = fail(Errc::kUnavailable,
                fmt::format("waiting for the store: {}{}{}", kind, why.empty() ? "" : ": ", why));
  });
  if (good && ((borrow_ && !borrow_->settled()) || (ranges_ && !ranges_->settled()))) {
    good = fail(Errc::kUnavailable, "waiting for the store: objects of the pod network");
  }
  return good;
}

bool PodNetworkWatch::available() const {
  bool all = true;
  each([&](const auto& informer, const char*) { all = all && informer.available(); });
  return all;
}

void PodNetworkWatch::record_change() {
  changed_ = true;
  begin_late_watches();
  on_change_();
}

// They end with this object only: a source that changes for a moment costs no second list.
void PodNetworkWatch::begin_late_watches() {
  if (!synced()) return;
  const auto source = network().source;
  const WatchPlace place{loop_, store_, random_, [this] { record_change(); }};
  if (source == Source::kCalico && !borrow_) borrow_.emplace(place);
  const bool no_prefixes = network_.nodes.empty() && !nodes_.items().empty();
  if (no_prefixes && last_good_.ranges.empty() && !ranges_) ranges_.emplace(place);
}

void PodNetworkWatch::read_settings() const {
  if (settings_.items().empty()) {
    last_good_ = {};
    trouble_.clear();
    return;
  }
  auto read = parse_settings(*settings_.items().begin()->second);
  trouble_ = read ? std::string() : read.error().text;
  if (read) last_good_ = std::move(*read);
}

Objects PodNetworkWatch::objects() const {
  Objects objects;
  objects.nodes = nodes_.items();
  objects.blocks_v1 = blocks_v1_.items();
  objects.blocks_v3 = blocks_v3_.items();
  objects.cilium_nodes = cilium_nodes_.items();
  objects.azure = azure_.items();
  objects.settings = last_good_;
  if (borrow_) objects.borrowed = borrow_->borrowed();
  if (ranges_) ranges_->add_to(objects);
  return objects;
}

const PodNetwork& PodNetworkWatch::network() const {
  if (std::exchange(changed_, false)) {
    read_settings();
    const auto now = objects();
    network_ = pod_network(now);
    own_by_source_ = sources_of(own_node_, now);
  }
  return network_;
}

std::string PodNetworkWatch::trouble() const {
  (void)network();
  if (!trouble_.empty()) return trouble_;
  auto text = borrow_ ? borrow_->trouble() : std::string();
  if (text.empty() && ranges_ && network_.source == Source::kCluster) text = ranges_->trouble();
  return text;
}

const std::map<Source, std::vector<Prefix>>& PodNetworkWatch::own_by_source() const {
  (void)network();
  return own_by_source_;
}

}  // namespace cw::prefixes
