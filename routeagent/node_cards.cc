#include "routeagent/node_cards.h"

#include <utility>

namespace cw::routeagent {

NodeCard card_of(const api::RouteAgent::Spec& spec) {
  NodeCard card;
  const auto key = tunnel::Key::from_base64(spec.public_key);
  if (key && !key->is_zero()) card.key = *key;
  if (const auto& side = spec.overlay) {
    card.overlay = {side->version, side->mode, side->port == 0 ? netlink::kHopPort : side->port};
  }
  return card;
}

void NodeCards::watch(std::optional<std::set<std::string>> nodes) {
  if (!agents_.empty() && watched_ == nodes) return;
  watched_ = std::move(nodes);
  const auto wanted = watched_.value_or(std::set<std::string>{""});
  std::erase_if(agents_, [&](const auto& entry) { return wanted.count(entry.first) == 0; });
  for (const auto& name : wanted) {
    if (agents_.count(name) == 0) agents_.emplace(name, open(name));
  }
  waited_ = waiting().has_value();
}

std::unique_ptr<NodeCards::Agents> NodeCards::open(const std::string& name) {
  auto agents = std::make_unique<Agents>(
      loop_, store_, random_, [this] { record(); }, "", name);
  agents->set_trim([](api::RouteAgent& agent) { agent.status = {}; });
  return agents;
}

std::optional<std::string> NodeCards::waiting() const {
  for (const auto& [name, agents] : agents_) {
    if (!agents->synced()) return agents->last_error();
  }
  return std::nullopt;
}

const NodeCard* NodeCards::find(const std::string& node) const {
  const auto at = cards_.find(node);
  return at == cards_.end() ? nullptr : &at->second;
}

void NodeCards::retain(const std::set<std::string>& nodes) {
  std::erase_if(cards_, [&](const auto& entry) { return nodes.count(entry.first) == 0; });
}

void NodeCards::record() {
  const bool waits = waiting().has_value();
  bool news = std::exchange(waited_, waits) != waits;
  for (const auto& [wanted, agents] : agents_) {
    for (const auto& [key, agent] : agents->items()) {
      const auto card = card_of(agent->spec);
      const auto [at, fresh] = cards_.try_emplace(key.name, card);
      news = news || fresh || at->second != card;
      at->second = card;
    }
  }
  if (news) on_change_();
}

}  // namespace cw::routeagent
