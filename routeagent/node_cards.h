// What the other nodes publish in RouteAgent.spec: their keys and their sides of the overlay. A
// gateway node watches the RouteAgents of all nodes, because each of them sends to it. A worker
// watches those of the gateway nodes only. At a failover all RouteAgents change together: a
// thousand workers that each read a thousand changes would burden the API server. Loop thread only.
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

// Never fails: a key that does not parse is left out.
[[nodiscard]] NodeCard card_of(const api::RouteAgent::Spec& spec);

class NodeCards {
 public:
  // `on_change`: a card or waiting() has changed.
  NodeCards(Loop& loop, api::Store& store, Random& random, std::function<void()> on_change)
      : loop_(loop), store_(store), random_(random), on_change_(std::move(on_change)) {}
  NodeCards(const NodeCards&) = delete;
  NodeCards& operator=(const NodeCards&) = delete;

  // The nodes to watch; none: all nodes. The same set again changes nothing.
  void watch(std::optional<std::set<std::string>> nodes);
  // The store's last error (or "") while it has not answered for all watched nodes.
  [[nodiscard]] std::optional<std::string> waiting() const;
  // A node keeps its card when its RouteAgent is deleted, so that its traffic goes on.
  [[nodiscard]] const NodeCard* find(const std::string& node) const;
  // Forgets the cards of all nodes but these.
  void retain(const std::set<std::string>& nodes);

 private:
  using Agents = api::Informer<api::RouteAgent>;

  [[nodiscard]] std::unique_ptr<Agents> open(const std::string& name);
  void record();  // reports changed cards only: most changes of a RouteAgent are of its status

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
