// Keeps the node's RouteAgent object current. The spec (the node's public key) is written at the
// start, and again when a write shows that it is another one. The status is written when it
// changes, at most once per second. Backoff while the store is away. Loop thread only.
#pragma once

#include <optional>
#include <string>

#include "api/store/object_keeper.h"
#include "api/types/route_agent.h"

namespace cw::routeagent {

// True: `b` differs from `a`. A measurement counts only when it changed much, so that a thousand
// idle nodes write nothing.
[[nodiscard]] bool tells_more(const api::RouteAgent::Status& a, const api::RouteAgent::Status& b);

class StatusWriter {
 public:
  StatusWriter(Loop& loop, api::Store& store, Random& random, api::RouteAgent::Spec spec);

  void publish(api::RouteAgent::Status status);
  // Why the store does not have our spec, so that no gateway knows this node. Empty: it has it.
  [[nodiscard]] std::string trouble() const;
  // The object as the store had it after our last write. None before the first.
  [[nodiscard]] std::optional<api::ObjectMeta> stored() const;

 private:
  static constexpr Duration kPause = std::chrono::seconds(1);

  [[nodiscard]] api::Step step();
  void receive(api::Verb verb, const Result<api::Object>& answer);
  [[nodiscard]] bool announced() const;

  Loop& loop_;
  api::RouteAgent::Spec spec_;
  std::optional<api::RouteAgent::Spec> kept_;  // what the store keeps of spec_ (an older schema)
  std::optional<api::RouteAgent::Status> desired_;
  api::RouteAgent::Status asked_;                   // of the last write
  std::optional<api::RouteAgent::Status> written_;  // an older schema may store less of it
  TimePoint not_before_{};                          // of the next status
  bool read_ = false;                               // stored_ is known
  std::shared_ptr<const api::RouteAgent> stored_;   // null: there is none, or it is not known
  api::ObjectKeeper keeper_;
};

}  // namespace cw::routeagent
