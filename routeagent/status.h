// Keeps the node's RouteAgent object current. The spec (the node's public key) is written at the
// start, and again when a write shows that it is another one. The status is written when it
// changes, at most once per second. Backoff while the store is away. Loop thread only.
#pragma once

#include <optional>
#include <string>

#include "api/store/store.h"
#include "api/types/route_agent.h"
#include "base/backoff.h"
#include "base/random.h"

namespace cw::routeagent {

// Whether `b` tells anything new after `a`: measurements alone only when they moved a lot, so that
// a thousand idle nodes write nothing.
[[nodiscard]] bool tells_more(const api::RouteAgent::Status& a, const api::RouteAgent::Status& b);

class StatusWriter {
 public:
  StatusWriter(Loop& loop, api::Store& store, Random& random, api::RouteAgent::Spec spec);

  void want(api::RouteAgent::Status status);
  // Why the store does not have our spec, so that no gateway knows this node; empty: it has.
  [[nodiscard]] std::string trouble() const;
  // The object as the store had it after our last write; none before it.
  [[nodiscard]] const std::optional<api::ObjectMeta>& stored() const { return stored_; }

 private:
  static constexpr Duration kPause = std::chrono::seconds(1);

  void schedule(Duration delay);
  void write();
  void announce();
  void compare(const api::Object& object);
  void create();
  void update(const std::string& resource_version);
  void announced(const Result<api::Object>& result);
  [[nodiscard]] api::Object object(const api::RouteAgent::Status& status,
                                   const std::string& resource_version) const;
  void written(const api::Object& object);
  void failed(const Error& error);

  Loop& loop_;
  api::Store& store_;
  Random& random_;
  api::RouteAgent::Spec spec_;
  bool announced_ = false;                         // the store has spec_
  std::optional<api::RouteAgent::Status> wanted_;  // differs from written_ while work is left
  std::optional<api::RouteAgent::Status> writing_;
  std::optional<api::RouteAgent::Status> written_;
  std::optional<api::ObjectMeta> stored_;
  std::string last_error_;
  Backoff backoff_{std::chrono::seconds(1), std::chrono::seconds(30)};
  Handle timer_;
  Handle request_;
};

}  // namespace cw::routeagent
