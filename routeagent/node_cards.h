// What the other nodes publish of themselves: their keys and their sides of the overlay
// (RouteAgent.spec). A gateway node watches the RouteAgents of all nodes, because each of them
// sends to it. A worker watches those of the gateway nodes only: RouteAgents change together at a
// failover, and a thousand workers that each hear of a thousand changes would burden the API
// server. Loop thread only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "api/store/informer.h"
#include "api/types/route_agent.h"
#include "base/random.h"
#include "routeagent/node/overlay.h"
#include "tunnel/key.h"

namespace cw::routeagent {

struct NodeCard {
  std::optional<tunnel::Key> key;
  std::optional<OverlaySide> overlay;
  friend bool operator==(const NodeCard&, const NodeCard&) = default;
};

// Total: what does not parse is none.
[[nodiscard]] NodeCard card_of(const api::RouteAgent::Spec& spec);

class NodeCards {
 public:
  // `on_change`: the cards are others now, or waiting() is.
  NodeCards(Loop& loop, api::Store& store, Random& random, std::function<void()> on_change)
      : loop_(loop), store_(store), random_(random), on_change_(std::move(on_change)) {}
  NodeCards(const NodeCards&) = delete;
  NodeCards& operator=(const NodeCards&) = delete;

  // Whose cards; none: all nodes'. The same again changes nothing.
  void watch(std::optional<std::set<std::string>> nodes);
  // The store has not said yet what the watched nodes publish; with its last error.
  [[nodiscard]] std::optional<std::string> waiting() const;
  // A node keeps its card when its RouteAgent goes: its traffic does not stop for that.
  [[nodiscard]] const NodeCard* find(const std::string& node) const;
  // Forgets the cards of all nodes but these.
  void keep_only(const std::set<std::string>& nodes);

 private:
  using Agents = api::Informer<api::RouteAgent>;

  [[nodiscard]] std::unique_ptr<Agents> open(const std::string& name);
  void take();  // most changes of a RouteAgent are of its status, and no news here

  Loop& loop_;
  api::Store& store_;
  Random& random_;
  std::function<void()> on_change_;
  std::optional<std::set<std::string>> watched_;
  bool waited_ = true;
  std::map<std::string, NodeCard> cards_;
  std::map<std::string, std::unique_ptr<Agents>> agents_;  // by name; "": all
};

}  // namespace cw::routeagent
