// Writes ServiceImports, derived Services, EndpointSlices and the conditions of ServiceExports to
// the store until they are as desired. It is told which desired objects and which cached objects
// changed, and compares only those. Only the holder of the discovery Lease writes. Foreign objects
// are never touched.
#pragma once

#include <map>
#include <set>

#include "api/store/object_keeper.h"
#include "discovery/mcs/derived.h"
#include "discovery/sources.h"

namespace cw::discovery {

class ObjectWriter {
 public:
  static constexpr std::size_t kInFlight = 16;

  ObjectWriter(Loop& loop, api::Store& store, Random& random, const Sources& sources);

  // The objects that a service should have. Empty: none.
  void set_desired(const api::ObjectKey& service, DesiredService desired);
  // The conditions that a ServiceExport should have. Empty: none.
  void set_desired(const api::ObjectKey& service, std::vector<api::Condition> conditions);
  // Records which cached objects changed.
  void record(const Changes& changes);
  // Call when set_desired() was called for all services for the first time. Then Causeway's other
  // objects in the caches are removed.
  void adopt();
  // True: other writes are more urgent for the API server, so creations wait.
  void defer_creates(bool others);
  void stop();  // another replica writes now
  [[nodiscard]] std::uint64_t writes() const { return keeper_.writes(); }

 private:
  [[nodiscard]] std::shared_ptr<const void> cached(const api::ObjectId& id) const;
  [[nodiscard]] api::Step step(const api::ObjectId& id);
  [[nodiscard]] api::Step step_of(const api::ObjectId& id) const;
  [[nodiscard]] api::Step import_step(const api::ObjectKey& key) const;
  [[nodiscard]] api::Step service_step(const api::ObjectKey& key) const;
  [[nodiscard]] api::Step slice_step(const api::ObjectKey& key) const;
  [[nodiscard]] api::Step export_step(const api::ObjectKey& key) const;

  Loop& loop_;
  const Sources& sources_;
  std::map<api::ObjectKey, api::ServiceImport> imports_;
  std::map<api::ObjectKey, api::Service> services_;
  std::map<api::ObjectKey, api::EndpointSlice> slices_;
  std::map<api::ObjectKey, std::vector<api::Condition>> conditions_;
  // The objects above that belong to a service.
  std::map<api::ObjectKey, std::set<api::ObjectId>> parts_;
  bool defers_creates_ = false;
  std::set<api::ObjectId> deferred_;
  api::ObjectKeeper keeper_;
};

}  // namespace cw::discovery
